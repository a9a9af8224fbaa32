//! Kafka's record batch, format v2: the one batch format of the project.

/// One data batch as fetched: bytes shared with the fetch, records decoded lazily.
#[derive(Clone, Debug)]
pub struct Batch {}
