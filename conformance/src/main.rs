//! Runs cases: files as arguments, or JSON lines on standard input; one result a line.

use std::io::{self, BufRead, Write};

use millstream_conformance::run;

fn main() -> io::Result<()> {
    // Functions of the catalogue that throw do so by panicking; the handlers tell what matters.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = io::stdout().lock();
    let mut answer = |case: &str| -> io::Result<()> {
        writeln!(out, "{}", run(case))?;
        out.flush()
    };
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        answer(&io::read_to_string(open(file)?)?)?;
    }
    if files.is_empty() {
        for line in io::stdin().lock().lines() {
            let line = line?;
            if !line.trim().is_empty() {
                answer(&line)?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the one place of this program that reads files")]
fn open(path: &str) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}
