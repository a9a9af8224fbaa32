//! Questions to a store from outside of its task: interactive queries.
//!
//! A [`Query`] is what a user asks (`KeyQuery`, `RangeQuery` …). It is made of [`Read`]s, which say
//! what is to be read and which types come of it; a store [offers](Question::offer) an answer to those
//! it knows. Reading for a query leaves no trace in the store: no order of use, no cache changes.

mod answers;
mod key;
mod position;
mod reads;
mod versioned;
mod window;

use std::any::Any;

use millstream_types::{Error, Result};

use crate::StateStore;

pub(crate) use answers::Answers;
pub use key::{KeyQuery, RangeQuery, TimestampedKeyQuery, TimestampedRangeQuery};
pub use position::{Position, PositionBound};
pub use reads::{
    GetRow, KeyRows, KeySpan, PrefixRows, SessionRows, SessionValue, VersionAsOf, VersionsBetween, WindowRows,
    WindowValue, WindowsOfKey,
};
pub use versioned::{MultiVersionedKeyQuery, VersionedKeyQuery};
pub use window::{WindowKeyQuery, WindowRangeQuery};

/// How much of a store a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadView {
    /// All that was written, committed or not.
    #[default]
    Latest,
    /// What has left the record cache.
    SkipCache,
    /// What is committed and has reached the store's engine.
    Committed,
}

/// The order of the rows of a result: Kafka Streams' `ResultOrder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResultOrder {
    /// The store's own.
    #[default]
    Any,
    /// By key bytes, or time, ascending.
    Ascending,
    /// The same descending.
    Descending,
}

/// Why a query has no result: Kafka Streams' `FailureReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// The store does not know this query for these types.
    UnknownQueryType,
    /// An active task was wanted, and the partition's task is a standby or is still restored.
    NotActive,
    /// The store has not come as far as the bound asks.
    NotUpToBound,
    /// The partition is not on this instance now.
    NotPresent,
    /// There is no such partition.
    DoesNotExist,
    /// The store could not be read.
    StoreException,
}

/// A query that failed in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryFailure {
    /// Why.
    pub reason: FailureReason,
    /// The same for people.
    pub message: String,
}

impl QueryFailure {
    /// A failure.
    pub fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// A store that cannot be read.
    pub fn of_store(error: &Error) -> Self {
        Self::new(FailureReason::StoreException, error.report())
    }
}

impl std::fmt::Display for QueryFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for QueryFailure {}

/// Something to ask a store: Kafka Streams' `Query`. One query is asked of each partition's store; it
/// runs on the thread that owns the store, between two records, so it should take what it needs and
/// leave work to the result: an iterator is read where it is used.
///
/// Implement it to ask a store of your own, which `run` finds by [`StateStore::as_any_mut`], or to make
/// one question of several.
///
/// ```
/// use millstream_state::query::{GetRow, Query, QueryFailure, ReadView, ask};
/// use millstream_state::StateStore;
///
/// /// Whether a key is there.
/// struct Has(String);
///
/// impl Query for Has {
///     type Result = bool;
///
///     fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<bool, QueryFailure> {
///         ask(store, GetRow::<String, i64>::new(self.0.clone()), view).map(|row| row.is_some())
///     }
/// }
/// ```
pub trait Query: Send + Sync + 'static {
    /// What comes of it.
    type Result: Send + 'static;

    /// Asks one store.
    ///
    /// # Errors
    /// [`FailureReason::UnknownQueryType`] when the store does not know the question,
    /// [`FailureReason::StoreException`] when it cannot be read.
    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Self::Result, QueryFailure>;
}

/// One thing to read, with the type of its answer.
pub trait Read: Send + 'static {
    /// What is read.
    type Answer: Send + 'static;
}

/// A [`Read`] on its way to a store, which offers an answer if it knows it.
pub struct Question<'a> {
    view: ReadView,
    ask: &'a mut dyn Any,
}

struct Ask<R: Read> {
    read: R,
    answer: Option<Result<R::Answer>>,
}

impl Question<'_> {
    /// Answers the question if it is an `R` and was not answered before. Stores call it for each kind of
    /// read that they know.
    pub fn offer<R: Read>(&mut self, answer: impl FnOnce(&R, ReadView) -> Result<R::Answer>) {
        if let Some(ask) = self.ask.downcast_mut::<Ask<R>>()
            && ask.answer.is_none()
        {
            ask.answer = Some(answer(&ask.read, self.view));
        }
    }
}

/// Asks a store one thing.
///
/// # Errors
/// As for [`Query::run`].
pub fn ask<R: Read>(store: &mut dyn StateStore, read: R, view: ReadView) -> Result<R::Answer, QueryFailure> {
    let mut ask = Ask { read, answer: None };
    store.answer(&mut Question { view, ask: &mut ask });
    let Some(answer) = ask.answer else {
        let message = format!(
            "store {} is a {} and does not know this query ({}): it is of another kind, or of other types",
            store.facts().name,
            store.type_name(),
            std::any::type_name::<R>()
        );
        return Err(QueryFailure::new(FailureReason::UnknownQueryType, message));
    };
    answer.map_err(|error| QueryFailure::of_store(&error))
}
