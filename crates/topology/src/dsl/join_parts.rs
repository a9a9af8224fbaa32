//! Names, stores and nodes of a stream-stream join.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use millstream_state::{
    DslKeyValueParams, DslStoreSuppliers, DslWindowParams, KeyValueStoreSupplier, StateStore, StoreBuilder,
    StoreFactory, StoreFormat, Stores, WindowStoreSupplier,
};
use millstream_types::Serde;

use super::JoinWindows;
use super::draft::Draft;
use super::options::StreamJoined;
use super::outline::{StreamJoinNodes, Unnamed};
use crate::flow::NodeFactory;
use crate::operator::join_kind::JoinKind;
use crate::operator::nulls::Nulls;
use crate::operator::self_join::self_join;
use crate::operator::stateless;
use crate::operator::stream_join::{LeftSide, PairJoiner, RightSide, StreamJoin, join_side, join_window};

/// Names of a join's nodes, and the beginnings of its stores' names, as Kafka Streams makes them.
pub(super) struct JoinNames {
    windowed: [String; 2],
    join: [String; 2],
    pub(super) merge: String,
    stores: [String; 2],
    unmatched: String,
}

impl JoinNames {
    pub(super) fn new(draft: &mut Draft, named: Option<&str>, stores: Option<&str>, kind: JoinKind) -> Self {
        let (this, this_prefix) = match kind {
            JoinKind::Outer => ("-outer-this-join", "KSTREAM-OUTERTHIS-"),
            _ => ("-this-join", "KSTREAM-JOINTHIS-"),
        };
        let (other, other_prefix) = match kind {
            JoinKind::Inner => ("-other-join", "KSTREAM-JOINOTHER-"),
            _ => ("-outer-other-join", "KSTREAM-OUTEROTHER-"),
        };
        let names = &mut draft.names;
        let mut node = |suffix: &str, prefix: &str| {
            let generated = names.generate(prefix);
            (named.map_or_else(|| generated.clone(), |name| format!("{name}{suffix}")), generated)
        };
        let windowed = ["-this-windowed", "-other-windowed"].map(|suffix| node(suffix, "KSTREAM-WINDOWED-").0);
        let (this_join, this_generated) = node(this, this_prefix);
        let (other_join, other_generated) = node(other, other_prefix);
        let merge = node("-merge", "KSTREAM-MERGE-").0;
        let store = |suffix: &str, generated: &str| {
            stores.map_or_else(|| format!("{generated}-store"), |stores| format!("{stores}{suffix}-store"))
        };
        let number = this_generated.strip_prefix(this_prefix).unwrap_or_default();
        Self {
            windowed,
            join: [this_join, other_join],
            merge,
            stores: [store(this, &this_generated), store(other, &other_generated)],
            unmatched: store(shared_suffix(kind), &format!("KSTREAM-OUTERSHARED-{number}")),
        }
    }
}

/// What follows the name of the store that both sides share.
fn shared_suffix(kind: JoinKind) -> &'static str {
    if kind == JoinKind::Outer { "-outer-shared-join" } else { "-left-shared-join" }
}

/// A join as it is written into the topology.
pub(super) struct JoinParts<'a, K, V, VO, R> {
    pub(super) names: JoinNames,
    pub(super) parents: (&'a str, &'a str),
    pub(super) kind: JoinKind,
    pub(super) joiner: PairJoiner<K, V, VO, R>,
    pub(super) windows: JoinWindows,
    pub(super) key: Serde<K>,
    pub(super) left: Serde<V>,
    pub(super) right: Serde<VO>,
    pub(super) joined: &'a StreamJoined<K, V, VO>,
}

impl<K, V, VO, R> JoinParts<'_, K, V, VO, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    /// Writes the stores and the five nodes.
    pub(super) fn write(self, draft: &mut Draft) {
        let [this_name, other_name] = &self.names.stores;
        let (this, other) = (&self.joined.this_supplier, &self.joined.other_supplier);
        let this = self.window_supplier(draft, this.as_ref(), this_name);
        let other = self.window_supplier(draft, other.as_ref(), other_name);
        let is_same = this.name() == other.name();
        if is_same {
            draft.problem(format!("join {} has two stores with the name {}", self.names.merge, this.name()));
        }
        let (keys, lefts, rights) = (self.key.clone(), self.left.clone(), self.right.clone());
        let this_store = self.add(draft, Stores::timestamped_window_store_with_headers_builder(this, keys, lefts));
        let other_store = if is_same {
            Arc::clone(&this_store)
        } else {
            self.add(draft, Stores::timestamped_window_store_with_headers_builder(other, self.key.clone(), rights))
        };
        let unmatched = (self.kind != JoinKind::Inner).then(|| {
            let (keys, lefts, rights) = (self.key.clone(), self.left.clone(), self.right.clone());
            let supplier = self.unmatched_supplier(draft);
            self.add(draft, Stores::outer_join_store_builder(supplier, keys, lefts, rights))
        });
        self.write_nodes(draft, &this_store, &other_store, unmatched);
    }

    fn write_nodes(self, draft: &mut Draft, this: &Arc<str>, other: &Arc<str>, unmatched: Option<Arc<str>>) {
        let [this_windowed, other_windowed] = &self.names.windowed;
        let [this_join, other_join] = &self.names.join;
        let key = &self.key;
        let code = join_window::<K, V>(this, key.clone());
        draft.then(this_windowed, &[self.parents.0], std::slice::from_ref(this), code);
        let code = join_window::<K, VO>(other, key.clone());
        draft.then(other_windowed, &[self.parents.1], std::slice::from_ref(other), code);

        if let Some(self_join) = self.self_join(this) {
            draft.outline.stream_joins.push(StreamJoinNodes {
                this_windowed: this_windowed.as_str().into(),
                other_windowed: other_windowed.as_str().into(),
                sides: [this_join.as_str().into(), other_join.as_str().into()],
                merge: self.names.merge.as_str().into(),
                this_store: Arc::clone(this),
                other_stores: [other].into_iter().chain(&unmatched).cloned().collect(),
                self_join,
            });
        }
        let used = |store: &Arc<str>| [store].into_iter().chain(&unmatched).cloned().collect::<Vec<_>>();
        let (windows, kind) = (self.windows, self.kind);
        let join = StreamJoin { windows, joiner: self.joiner, unmatched: unmatched.clone() };
        let nulls = Nulls { key: Some(key.clone()), value: Some(self.left) };
        let code = join_side::<_, _, _, _, LeftSide>(join.clone(), nulls, kind != JoinKind::Inner, other);
        draft.then(this_join, &[this_windowed], &used(other), code);
        let nulls = Nulls { key: Some(key.clone()), value: Some(self.right) };
        let code = join_side::<_, _, _, _, RightSide>(join, nulls, kind == JoinKind::Outer, this);
        draft.then(other_join, &[other_windowed], &used(this), code);
        draft.then(&self.names.merge, &[this_join, other_join], &[], stateless::pass::<K, R>());
    }

    /// The join over one store, should both streams turn out to be one: their values are then of
    /// one type.
    fn self_join(&self, store: &Arc<str>) -> Option<NodeFactory> {
        let joiner = (&self.joiner as &dyn Any).downcast_ref::<PairJoiner<K, V, V, R>>()?;
        let nulls = Nulls { key: Some(self.key.clone()), value: Some(self.left.clone()) };
        Some(self_join(self.windows, Arc::clone(joiner), nulls, store))
    }

    fn suppliers(&self, draft: &Draft) -> Arc<dyn DslStoreSuppliers> {
        Arc::clone(self.joined.store_suppliers.as_ref().unwrap_or(&draft.store_suppliers))
    }

    /// Where a stream's records are kept: in the given store, if it fits.
    fn window_supplier(
        &self,
        draft: &mut Draft,
        given: Option<&WindowStoreSupplier>,
        name: &str,
    ) -> WindowStoreSupplier {
        let ms = |time: i64| Duration::from_millis(time.unsigned_abs());
        let size = ms(self.windows.size_ms());
        let retention = ms(self.windows.size_ms().saturating_add(self.windows.grace_period_ms()));
        let Some(given) = given else {
            // Rows keep headers where all stores of the application do, else nothing but their value.
            let format =
                if draft.store_format == StoreFormat::Headers { StoreFormat::Headers } else { StoreFormat::Plain };
            let params = DslWindowParams::new(name, retention, size, format).retaining_duplicates();
            return self.suppliers(draft).window_store(&params);
        };
        let (store, join) = (given.name(), &self.names.merge);
        if !given.retains_duplicates() {
            draft.problem(format!("store {store} of join {join} must keep duplicates, and its supplier does not"));
        }
        if (given.window_size(), given.retention()) != (size, retention) {
            draft.problem(format!(
                "store {store} of join {join} has windows of {:?} kept {:?}, but the join's are of {size:?} and are \
                 kept {retention:?}",
                given.window_size(),
                given.retention()
            ));
        }
        given.clone()
    }

    /// Where records without a partner wait: as the stores of the streams, on disk or in memory.
    fn unmatched_supplier(&self, draft: &Draft) -> KeyValueStoreSupplier {
        let this = self.joined.this_supplier.as_ref();
        let name = match this {
            Some(this) => format!("{}{}-store", this.name(), shared_suffix(self.kind)),
            None => self.names.unmatched.clone(),
        };
        match this.filter(|_| self.joined.store_suppliers.is_none()) {
            Some(this) if this.is_persistent() => Stores::persistent_key_value_store(name),
            Some(_) => Stores::in_memory_key_value_store(name),
            None => self.suppliers(draft).key_value_store(&DslKeyValueParams::new(name, StoreFormat::Plain)),
        }
    }

    /// Adds a store with what the user said about it; gives its name. None has a record cache.
    fn add<S: StateStore>(&self, draft: &mut Draft, builder: StoreBuilder<S>) -> Arc<str> {
        let builder = if self.joined.is_logged {
            builder.with_logging_enabled(self.joined.changelog_configs.iter().cloned())
        } else {
            builder.with_logging_disabled()
        };
        let name = Arc::clone(&builder.facts().name);
        if self.joined.store_name.is_none() {
            draft.unnamed(Unnamed::Store { name: Arc::clone(&name), is_logged: self.joined.is_logged });
        }
        draft.add_store(builder.into_factory());
        name
    }
}
