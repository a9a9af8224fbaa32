//! Runs cases: files as arguments, or JSON lines on standard input; one result a line, in order.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use millstream_conformance::{Pending, Pool, silence};

/// Cases read ahead of the result that is waited for.
const AHEAD: usize = 256;

fn main() -> io::Result<()> {
    silence();
    let pool = Pool::start();
    let (sender, results) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&pool, sender));
        write(&pool, results)?;
        reader.join().unwrap_or(Ok(()))
    })
}

fn read(pool: &Pool, results: SyncSender<Pending>) -> io::Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        // Without a reader of results nobody waits for more.
        if results.send(pool.submit(io::read_to_string(open(file)?)?)).is_err() {
            return Ok(());
        }
    }
    if files.is_empty() {
        for line in io::stdin().lock().lines() {
            let line = line?;
            if !line.trim().is_empty() && results.send(pool.submit(line)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn write(pool: &Pool, results: Receiver<Pending>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for pending in results {
        writeln!(out, "{}", pool.wait(pending))?;
        out.flush()?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the one place of this program that reads files")]
fn open(path: &str) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}
