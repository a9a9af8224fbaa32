//! Why a store cannot be queried.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Partition};

use crate::streams::State;
use crate::thread::ThreadState;

/// Why an instance cannot be asked about a store: Kafka Streams' `InvalidStateStoreException` and its
/// kinds. It is the cause of errors that [`Streams::query`](crate::Streams::query) and the stores of
/// [`Streams::store`](crate::Streams::store) give.
///
/// The [kind](Error::kind) of these errors says what to do: `Retriable` will pass, everything else will not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidStateStore {
    /// The topology has no such store (`UnknownStateStoreException`).
    Unknown,
    /// The application has not been started (`StreamsNotStartedException`).
    NotStarted,
    /// The application is closing or closed (`StreamsStoppedException`).
    Stopped(State),
    /// The thread that has the store takes tasks over or gives them up (`StreamsRebalancingException`).
    Rebalancing(ThreadState),
    /// The partition is not here (`InvalidStateStorePartitionException`).
    Partition(Partition),
    /// No partition of the store is here; it may have migrated (`StateStoreMigratedException`).
    Migrated,
    /// The store is of another kind or of other types than it was asked for.
    WrongType(String),
    /// A query was asked from one of the application's own stream threads, which would wait for itself.
    OwnThread,
}

impl InvalidStateStore {
    /// The reason in an error, if it has one.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    pub(crate) fn error(self, store: &str) -> Error {
        let kind = match self {
            Self::Rebalancing(_) | Self::Partition(_) | Self::Migrated => ErrorKind::Retriable,
            _ => ErrorKind::State,
        };
        let store: Arc<str> = store.into();
        Error::new(kind, format!("the store cannot be queried: {self}"))
            .with_context(|context| context.store = Some(store))
            .with_source(self)
    }
}

impl std::fmt::Display for InvalidStateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("the topology has no store of that name"),
            Self::NotStarted => f.write_str("the application has not been started; ask again after start()"),
            Self::Stopped(state) => write!(f, "the application has been stopped ({state})"),
            Self::Rebalancing(state) => write!(f, "its stream thread is {state:?}, not Running; ask again"),
            Self::Partition(partition) => write!(f, "its partition {partition} is not on this instance now"),
            Self::Migrated => f.write_str("no partition of it is on this instance now; it may have migrated"),
            Self::WrongType(why) => f.write_str(why),
            Self::OwnThread => f.write_str(
                "a stream thread would wait for itself; a processor reads the stores that it is connected to",
            ),
        }
    }
}

impl std::error::Error for InvalidStateStore {}
