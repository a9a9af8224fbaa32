//! What libFuzzer calls.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic is what libFuzzer waits for"
)]
#![allow(clippy::disallowed_methods, reason = "it reads its arguments and writes inputs")]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use millstream_fuzz::{Random, Target, all, check, mutate};

/// Of so many mutations one begins anew with an input that is right.
const ANEW: u32 = 8;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: prepare(),
    |input: &[u8]| {
        // A panic has ended the process before this.
        if let Err(failure) = check(target(), input) {
            panic!("{failure:?}");
        }
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % ANEW != 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let input = mutate(&target().right, &mut Random::new(u64::from(seed)));
    let len = input.len().min(max_size);
    data[..len].copy_from_slice(&input[..len]);
    len
});

/// The one that was named.
fn target() -> &'static Target {
    TARGET.get_or_init(|| {
        if std::env::args().any(|argument| argument == "--targets") {
            all().iter().for_each(|target| println!("{}", target.name));
            std::process::exit(0);
        }
        let name = std::env::args().find_map(|argument| argument.strip_prefix("--target=").map(str::to_owned));
        let name = name.unwrap_or_default();
        let found = all().into_iter().find(|target| target.name == name);
        found.unwrap_or_else(|| {
            let names: Vec<&str> = all().iter().map(|target| target.name).collect();
            eprintln!("--target=NAME is one of: {}", names.join(" "));
            std::process::exit(2)
        })
    })
}

/// Writes the right inputs where libFuzzer reads them from.
fn prepare() {
    let right = &target().right;
    let Some(corpus) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from) else {
        return;
    };
    if !corpus.is_dir() {
        return;
    }
    for (at, input) in right.iter().enumerate() {
        if let Err(error) = std::fs::write(corpus.join(format!("right-{at}")), input) {
            eprintln!("{}: {error}", corpus.display());
            std::process::exit(2);
        }
    }
}
