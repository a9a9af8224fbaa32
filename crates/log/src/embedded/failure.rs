//! Failures the embedded log answers with.

use millstream_types::{Error, ErrorKind, TopicPartition};

use crate::seam::{Call, Failure, FailureKind};

/// What an operation of the embedded log gives.
pub(super) type Answer<T> = Result<T, Failure>;

/// Another client took over.
pub(super) fn fenced(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Fenced, error: Error::new(ErrorKind::Fenced, message) }
}

/// No effect, and repeating is of no use.
pub(super) fn fatal(kind: ErrorKind, message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Fatal, error: Error::new(kind, message) }
}

/// A partition that is not there.
pub(super) fn unknown_partition(partition: &TopicPartition) -> Failure {
    let error = Error::new(ErrorKind::Configuration, "the partition does not exist in the embedded log");
    Failure { kind: FailureKind::Fatal, error: at(error, partition) }
}

/// The error with the partition it happened at.
pub(super) fn at(error: Error, partition: &TopicPartition) -> Error {
    error.with_context(|context| {
        context.topic = Some(partition.topic.clone());
        context.partition = Some(partition.partition);
    })
}

/// An answer that is there at once.
pub(super) fn call<T>(answer: Answer<T>) -> Call<T> {
    match answer {
        Ok(answer) => Call::done(answer),
        Err(Failure { kind, error }) => Call::failed(kind, error),
    }
}
