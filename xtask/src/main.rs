//! One entrance: check, test, tidy.
fn main() {}
