//! `TableJoined`: name and partitioners of a foreign-key join.

use std::sync::Arc;

/// Chooses the partition of a key: topic, key and number of partitions in; `None` leaves it to the
/// default partitioner.
pub(crate) type KeyPartitioner<K> = Arc<dyn Fn(&str, &K, i32) -> Option<i32> + Send + Sync>;

/// Name and partitioners of a foreign-key join. Partitioners are needed where the tables' topics
/// were not written by the default one: a join's records must reach the same partitions.
///
/// ```
/// use millstream_topology::{Materialized, StreamsBuilder, TableJoined};
///
/// let builder = StreamsBuilder::new();
/// let orders = builder.table::<i64, i64>("orders");
/// let customers = builder.table::<i64, i64>("customers");
/// let joined = TableJoined::named("billed")
///     .with_partitioner(|_, order, _| Some(if *order < 1_000_000 { 0 } else { 1 }))
///     .with_other_partitioner(|_, _, _| None);
/// let sum = |order: &i64, customer: &i64| order + customer;
/// orders.join_on_foreign_key_with(&customers, |_, order| *order, sum, joined, Materialized::default());
///
/// let joined = TableJoined::default().with_name("again");
/// orders.join_on_foreign_key_with(&customers, |_, order| *order, sum, joined, Materialized::default());
/// builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct TableJoined<K, KO> {
    pub(crate) name: Option<String>,
    pub(crate) partitioner: Option<KeyPartitioner<K>>,
    pub(crate) other_partitioner: Option<KeyPartitioner<KO>>,
}

impl<K, KO> TableJoined<K, KO> {
    /// With this name: the prefix of the join's topics, store and nodes.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// With this name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How this table's topic is partitioned: topic, key and number of partitions in. Where it
    /// gives `None`, the default partitioner chooses; without one, answers go back to the partition that
    /// asked.
    pub fn with_partitioner(mut self, choose: impl Fn(&str, &K, i32) -> Option<i32> + Send + Sync + 'static) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }

    /// How the other table's topic is partitioned.
    pub fn with_other_partitioner(
        mut self,
        choose: impl Fn(&str, &KO, i32) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.other_partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K, KO> Default for TableJoined<K, KO> {
    fn default() -> Self {
        Self { name: None, partitioner: None, other_partitioner: None }
    }
}
