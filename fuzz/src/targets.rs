//! What is fuzzed.

mod batches;
mod files;
mod protocol;
mod serdes;
mod stores;
mod streams;
mod text;

/// A decoder.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Inputs that are right.
    pub right: Vec<Vec<u8>>,
    /// Decodes one; whether it could be read. Errors are as they should be; what must not be is a panic.
    pub run: fn(&[u8]) -> bool,
    /// Memory that it may hold at once, in bytes, with an input of 64 KiB at most.
    pub memory_max: u64,
}

/// All targets.
pub fn all() -> Vec<Target> {
    vec![
        protocol::requests(),
        protocol::responses(),
        protocol::frames(),
        protocol::streams(),
        batches::batches(),
        batches::fetched(),
        batches::gzip(),
        batches::snappy(),
        batches::lz4(),
        batches::zstd(),
        serdes::values(),
        serdes::keys(),
        stores::key_value(),
        stores::window(),
        stores::session(),
        stores::versioned(),
        stores::outer_join(),
        stores::change_buffer(),
        stores::stream_buffer(),
        streams::topics(),
        files::journals(),
        files::segments(),
        files::state_directories(),
        files::marks(),
        text::settings(),
        text::commit_metadata(),
    ]
}
