//! Progress on standard error: a bar for people, lines for files.

use std::io::{self, IsTerminal, Write};

use millstream::types::{Clock, Now, clock::SystemClock};

/// Cells of the bar. The line must stay under the 80 columns of a narrow terminal: one that wraps
/// cannot be drawn over.
const WIDTH: u64 = 12;
/// Between two redraws of the bar, and between two lines, in ms.
const REDRAW_MS: i64 = 100;
const LINE_MS: i64 = 2_000;

/// Progress of one phase.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    /// Records done before this run, which say nothing about its speed.
    base: u64,
    clock: SystemClock,
    shown_at: Option<Now>,
    is_terminal: bool,
}

impl Progress {
    /// A phase over `total` records, of which `base` are done.
    pub(super) fn new(what: &'static str, total: u64, base: u64) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { what, total, base, clock: SystemClock::new(), shown_at: None, is_terminal }
    }

    /// Shows that `done` records are done, if it is time to show something.
    pub(super) fn show(&mut self, done: u64) {
        let now = self.clock.now();
        let interval = if self.is_terminal { REDRAW_MS } else { LINE_MS };
        if self.shown_at.is_none_or(|shown| now.mono_ms() - shown.mono_ms() >= interval) {
            self.shown_at = Some(now);
            self.print(done, now, false);
        }
    }

    /// Shows the end of the phase.
    pub(super) fn finish(&self, done: u64) {
        self.print(done, self.clock.now(), true);
    }

    /// Nobody may be watching: what cannot be shown is not worth failing for.
    fn print(&self, done: u64, now: Now, is_last: bool) {
        let text = self.text(done, now);
        let mut out = io::stderr().lock();
        let _ = match (self.is_terminal, is_last) {
            (true, false) => write!(out, "\r{text}\x1b[K"),
            (true, true) => writeln!(out, "\r{text}\x1b[K"),
            (false, _) => writeln!(out, "{text}"),
        };
        let _ = out.flush();
    }

    fn text(&self, done: u64, now: Now) -> String {
        let seconds = now.mono_ns as f64 / 1e9;
        let rate = if seconds > 0.0 { done.saturating_sub(self.base) as f64 / seconds } else { 0.0 };
        let (done, total) = (done.min(self.total), self.total);
        let lag = total - done;
        let share = |of: u64| (done * of).checked_div(total).unwrap_or(of);
        let full = share(WIDTH);
        let cells = (0..WIDTH).map(|cell| if cell < full { '█' } else { '░' });
        let bar: String = std::iter::once(' ').chain(cells).collect();
        let (share, done, rate, lag) = (share(100), grouped(done), grouped(rate as u64), grouped(lag));
        if self.is_terminal {
            format!("{:<10}{bar} {share:>3} %  {done:>7} flights  {rate:>7} records/s  lag {lag}", self.what)
        } else {
            let total = grouped(total);
            format!("{:<10} {share:>3} %  {done:>7} of {total} flights  {rate:>9} records/s  lag {lag}", self.what)
        }
    }
}

/// A number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 7, 999, 1_000, 336_776, 12_345_678].map(grouped);
        assert_eq!(texts, ["0", "7", "999", "1,000", "336,776", "12,345,678"]);
    }

    #[test]
    fn speed_counts_what_this_run_did() {
        let progress = Progress { is_terminal: false, ..Progress::new("processing", 1_000, 500) };
        let text = progress.text(750, Now { mono_ns: 500_000_000, wall_ms: 0 });
        assert_eq!(text, "processing  75 %      750 of 1,000 flights        500 records/s  lag 250");
    }

    #[test]
    fn the_bar_fills_up() {
        let progress = Progress { is_terminal: true, ..Progress::new("processing", 2, 0) };
        let text = progress.text(1, Now::default());
        assert!(text.contains(&format!("{}{}", "█".repeat(6), "░".repeat(6))), "{text}");
    }

    #[test]
    fn the_bar_fits_a_narrow_terminal() {
        let progress = Progress { is_terminal: true, ..Progress::new("processing", 336_776, 0) };
        for done in [0, 111_111, 336_776] {
            let text = progress.text(done, Now { mono_ns: 400_000_000, wall_ms: 0 });
            assert!(text.chars().count() < 80, "{text}");
        }
    }
}
