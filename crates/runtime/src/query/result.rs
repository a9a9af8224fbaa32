//! What comes of a query.

use std::collections::BTreeMap;

use millstream_state::query::{FailureReason, Position, QueryFailure};

/// What one partition has answered: Kafka Streams' `QueryResult`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryResult<R> {
    outcome: Result<R, QueryFailure>,
    position: Option<Position>,
    execution_info: Vec<String>,
}

impl<R> QueryResult<R> {
    pub(super) fn new(outcome: Result<R, QueryFailure>, position: Option<Position>) -> Self {
        Self { outcome, position, execution_info: Vec::new() }
    }

    pub(super) fn failed(reason: FailureReason, message: impl Into<String>) -> Self {
        Self::new(Err(QueryFailure::new(reason, message)), None)
    }

    pub(super) fn add_execution_info(&mut self, info: String) {
        self.execution_info.push(info);
    }

    /// Whether there is a result.
    pub fn is_success(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Whether there is none.
    pub fn is_failure(&self) -> bool {
        self.outcome.is_err()
    }

    /// The result, if there is one.
    pub fn result(&self) -> Option<&R> {
        self.outcome.as_ref().ok()
    }

    /// Why there is none.
    pub fn failure(&self) -> Option<&QueryFailure> {
        self.outcome.as_ref().err()
    }

    /// Why there is none.
    pub fn failure_reason(&self) -> Option<FailureReason> {
        self.failure().map(|failure| failure.reason)
    }

    /// The same for people.
    pub fn failure_message(&self) -> Option<&str> {
        self.failure().map(|failure| &*failure.message)
    }

    /// The result, to be used.
    ///
    /// # Errors
    /// Why there is none.
    pub fn into_result(self) -> Result<R, QueryFailure> {
        self.outcome
    }

    /// How far the store had come in the inputs of its task.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Who has answered and how long it took, if the request asked for it.
    pub fn execution_info(&self) -> &[String] {
        &self.execution_info
    }
}

/// What an instance has answered: Kafka Streams' `StateQueryResult`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateQueryResult<R> {
    partitions: BTreeMap<i32, QueryResult<R>>,
    global: Option<QueryResult<R>>,
}

impl<R> Default for StateQueryResult<R> {
    fn default() -> Self {
        Self { partitions: BTreeMap::new(), global: None }
    }
}

impl<R> StateQueryResult<R> {
    pub(super) fn of_global(result: QueryResult<R>) -> Self {
        Self { partitions: BTreeMap::new(), global: Some(result) }
    }

    /// Takes up the answer of a partition; a success stays.
    pub(super) fn add(&mut self, partition: i32, result: QueryResult<R>) {
        if self.partitions.get(&partition).is_none_or(QueryResult::is_failure) {
            self.partitions.insert(partition, result);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (partition, result) in other.partitions {
            self.add(partition, result);
        }
    }

    /// Adds a failure for those of the partitions that have not answered.
    pub(super) fn add_missing(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.partitions.entry(partition).or_insert_with(|| {
                let message = format!("partition {partition} was not on this instance at the time of the query");
                QueryResult::failed(FailureReason::NotPresent, message)
            });
        }
    }

    /// The results by partition.
    pub fn partition_results(&self) -> &BTreeMap<i32, QueryResult<R>> {
        &self.partitions
    }

    /// The results by partition, to be used.
    pub fn into_partition_results(self) -> BTreeMap<i32, QueryResult<R>> {
        self.partitions
    }

    /// The result of a global store.
    pub fn global_result(&self) -> Option<&QueryResult<R>> {
        self.global.as_ref()
    }

    /// The result of a global store, to be used.
    pub fn into_global_result(self) -> Option<QueryResult<R>> {
        self.global
    }

    /// The one result that there is besides failures; `None` if there is none or several. For the value
    /// of a key there is [`into_only_value`](Self::into_only_value).
    pub fn into_only_partition_result(self) -> Option<QueryResult<R>> {
        let mut results = self.partitions.into_values().filter(QueryResult::is_success);
        let only = results.next()?;
        results.next().is_none().then_some(only)
    }

    /// How far all stores that have answered had come: a bound for the next query that is to see no less.
    pub fn position(&self) -> Position {
        let results = self.partitions.values().chain(&self.global);
        results.filter_map(QueryResult::position).fold(Position::empty(), Position::merge)
    }
}

impl<V> StateQueryResult<Option<V>> {
    /// What the one partition that has something has found; `None` if all have answered and none has: for
    /// queries of a key. Only partitions of this instance are asked: one that is on another, or on its way, has nothing
    /// to say here, unless the request names it (`with_partitions`), which makes that a failure.
    ///
    /// # Errors
    /// A partition's failure where no other one has found anything; `StoreException` where several have.
    pub fn into_only_value(self) -> Result<Option<V>, QueryFailure> {
        let mut found = None;
        let mut failure = None;
        for result in self.partitions.into_values().chain(self.global) {
            match result.outcome {
                Ok(Some(_)) if found.is_some() => {
                    let message = "several partitions have found something; look at each partition's result";
                    return Err(QueryFailure::new(FailureReason::StoreException, message));
                }
                Ok(Some(value)) => found = Some(value),
                Ok(None) => {}
                Err(failed) => failure = failure.or(Some(failed)),
            }
        }
        match (found, failure) {
            (None, Some(failure)) => Err(failure),
            (found, _) => Ok(found),
        }
    }
}
