//! What is asked of an instance.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_state::query::{PositionBound, Query, ReadView};

/// A query of a store with all that is to be said about it: Kafka Streams' `StateQueryRequest`.
///
/// ```
/// use millstream_runtime::StateQueryRequest;
/// use millstream_state::query::KeyQuery;
///
/// let query = KeyQuery::<String, i64>::with_key("alice".to_owned());
/// let request = StateQueryRequest::in_store("counts").with_query(query).with_partitions([3]).require_active();
/// ```
#[derive(Debug)]
pub struct StateQueryRequest<Q> {
    pub(super) store: Arc<str>,
    pub(super) query: Arc<Q>,
    /// `None`: all that are here.
    pub(super) partitions: Option<BTreeSet<i32>>,
    pub(super) bound: PositionBound,
    pub(super) requires_active: bool,
    pub(super) view: ReadView,
    pub(super) collects_info: bool,
}

// By hand: the query is shared and need not be `Clone`.
impl<Q> Clone for StateQueryRequest<Q> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            query: Arc::clone(&self.query),
            partitions: self.partitions.clone(),
            bound: self.bound.clone(),
            ..*self
        }
    }
}

/// Names the store of a [`StateQueryRequest`].
#[derive(Clone, Debug)]
pub struct InStore(Arc<str>);

impl InStore {
    /// Says what is asked: of all partitions that are on the instance, copies among them, without bound.
    pub fn with_query<Q: Query>(self, query: Q) -> StateQueryRequest<Q> {
        StateQueryRequest {
            store: self.0,
            query: Arc::new(query),
            partitions: None,
            bound: PositionBound::unbounded(),
            requires_active: false,
            view: ReadView::Latest,
            collects_info: false,
        }
    }
}

impl StateQueryRequest<()> {
    /// Begins a request.
    pub fn in_store(name: &str) -> InStore {
        InStore(name.into())
    }
}

impl<Q> StateQueryRequest<Q> {
    /// Of these partitions only.
    #[must_use]
    pub fn with_partitions(self, partitions: impl IntoIterator<Item = i32>) -> Self {
        Self { partitions: Some(partitions.into_iter().collect()), ..self }
    }

    /// Of all partitions that are on the instance.
    #[must_use]
    pub fn with_all_partitions(self) -> Self {
        Self { partitions: None, ..self }
    }

    /// Only of stores that have come as far as the bound.
    #[must_use]
    pub fn with_position_bound(self, bound: PositionBound) -> Self {
        Self { bound, ..self }
    }

    /// Only of running active tasks, which are always up to date: bounds do not matter then.
    #[must_use]
    pub fn require_active(self) -> Self {
        Self { requires_active: true, ..self }
    }

    /// Sees only what is committed and has reached the store's engine, which may be ten seconds old while
    /// there is much to do; the [position](super::QueryResult::position) of a result says how far it is. Kafka Streams
    /// has no such view.
    #[must_use]
    pub fn read_committed(self) -> Self {
        Self { view: ReadView::Committed, ..self }
    }

    /// Has the results say who has answered and how long it took.
    #[must_use]
    pub fn enable_execution_info(self) -> Self {
        Self { collects_info: true, ..self }
    }

    /// Name of the store.
    pub fn store_name(&self) -> &str {
        &self.store
    }

    /// The query.
    pub fn query(&self) -> &Q {
        &self.query
    }

    /// The partitions asked for; `None` for all.
    pub fn partitions(&self) -> Option<&BTreeSet<i32>> {
        self.partitions.as_ref()
    }

    /// Whether all partitions are asked for.
    pub fn is_all_partitions(&self) -> bool {
        self.partitions.is_none()
    }

    /// How far a store must have come.
    pub fn position_bound(&self) -> &PositionBound {
        &self.bound
    }

    /// Whether only running active tasks are asked.
    pub fn is_require_active(&self) -> bool {
        self.requires_active
    }

    /// Whether results say who has answered.
    pub fn is_execution_info_enabled(&self) -> bool {
        self.collects_info
    }

    pub(super) fn wants(&self, partition: i32) -> bool {
        self.partitions.as_ref().is_none_or(|partitions| partitions.contains(&partition))
    }
}
