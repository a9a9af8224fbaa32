//! The one public error: a small kind that says what the caller should do, and context.

use std::fmt;
use std::sync::Arc;

use crate::{Offset, Partition, TaskId};

/// Shorthand for results with Millstream's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the configuration.
    Configuration,
    /// Fix the topology in the code.
    Topology,
    /// A record could not be read; the deserialisation handler decides.
    Deserialization,
    /// User code failed on a record; the processing handler decides.
    Processing,
    /// A record could not be serialised or written; the production handler decides.
    Production,
    /// Try again later: nothing was changed.
    Retriable,
    /// Another instance took over: drop what was not committed and join again.
    Fenced,
    /// Local state or a log file is damaged; the message says what can be done.
    Corrupted,
    /// The file system refused (full disk, permissions, lock held by another process).
    Storage,
    /// The call does not fit the present state, for example starting twice.
    State,
    /// Stop the application: nothing above applies.
    Fatal,
}

/// Where an [`Error`] happened, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Task that was running.
    pub task: Option<TaskId>,
    /// Topology node that was running.
    pub node: Option<Arc<str>>,
    /// Topic the record came from or goes to.
    pub topic: Option<Arc<str>>,
    /// Partition of that topic.
    pub partition: Option<Partition>,
    /// Offset of the record.
    pub offset: Option<Offset>,
    /// State store involved.
    pub store: Option<Arc<str>>,
}

/// An error of Millstream: its [kind](ErrorKind) is stable, its message is for people. `Debug` is for
/// people, too: it is what a `main` that returns an error shows.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Context,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of that kind; the message is a lower-case sentence without the source's text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), context: Context::default(), source: None }))
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Changes the context, keeping what is already known.
    #[must_use]
    pub fn with_context(mut self, change: impl FnOnce(&mut Context)) -> Self {
        change(&mut self.0.context);
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it happened.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// Whether another process, or somebody else in this one, has what was to be opened.
    pub fn is_in_use(&self) -> bool {
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            if cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
            {
                return true;
            }
            next = cause.source();
        }
        false
    }

    /// The error and what caused it, one a line.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str("\ncaused by: ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    /// The message without context.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.report())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let context = &self.0.context;
        let mut separator = " (";
        let mut field = |f: &mut fmt::Formatter<'_>, name: &str, value: Option<String>| {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = ", ";
            }
            Ok::<_, fmt::Error>(())
        };
        field(f, "task", context.task.map(|task| task.to_string()))?;
        field(f, "node", context.node.as_ref().map(ToString::to_string))?;
        field(f, "topic", context.topic.as_ref().map(ToString::to_string))?;
        field(f, "partition", context.partition.map(|partition| partition.to_string()))?;
        field(f, "offset", context.offset.map(|offset| offset.to_string()))?;
        field(f, "store", context.store.as_ref().map(ToString::to_string))?;
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_main_shows_is_for_people() {
        let cause = Error::new(ErrorKind::Storage, "no space is left");
        let error = Error::new(ErrorKind::Corrupted, "a segment cannot be read")
            .with_source(cause)
            .with_context(|context| context.topic = Some("orders".into()));
        let text = "a segment cannot be read (topic=orders)\ncaused by: no space is left";
        assert_eq!(error.report(), text);
        assert_eq!(format!("{error:?}"), format!("Corrupted: {text}"));
    }
}
