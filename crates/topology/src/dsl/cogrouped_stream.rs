//! `CogroupedKStream`: several grouped streams that share one aggregate (KIP-150).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_types::{Serde, Windowed};

use super::aggregate::{Apply, Initial, Ready, Target, always};
use super::aggregate_shape::{SessionShape, Shape, SizedShape, Unwindowed};
use super::draft::Shared;
use super::options::Materialized;
use super::session_stream::merged;
use super::stream::union;
use super::windowing::SizedWindows;
use super::{EmitStrategy, KGroupedStream, KStream, KTable, SessionWindows, Windowing};
use crate::operator::change::Change;
use crate::operator::stateless;
use crate::operator::windowed::Sessions;

const AGGREGATE: &str = "COGROUPKSTREAM-AGGREGATE-";
const MERGE: &str = "COGROUPKSTREAM-MERGE-";

/// Grouped streams of one key type whose values, of any types, go into one aggregate each key:
/// cheaper than an aggregate of each stream and joins of the results, with one store instead of
/// several.
///
/// ```
/// # let builder = millstream_topology::StreamsBuilder::new();
/// let clicks = builder.stream::<String, String>("clicks").group_by_key();
/// let orders = builder.stream::<String, i64>("orders").group_by_key();
/// clicks
///     .cogroup(|_, _, (clicks, cents): (i64, i64)| (clicks + 1, cents))
///     .cogroup(&orders, |_, order, (clicks, cents)| (clicks, cents + order));
/// ```
#[must_use = "a cogroup does nothing until it is aggregated"]
pub struct CogroupedKStream<K, A> {
    draft: Shared,
    inputs: Vec<Rc<dyn Input<K, A>>>,
    name: Option<String>,
}

impl<K, A> Clone for CogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        Self { draft: self.draft.clone(), inputs: self.inputs.clone(), name: self.name.clone() }
    }
}

/// One stream of a cogroup, its values' type erased.
trait Input<K, A> {
    /// Tells one grouping from another, clones aside.
    fn identity(&self) -> *const ();

    /// Puts the stream behind a repartition if its keys have changed.
    fn repartition(&self, store: &str, is_store_named: bool);

    fn key_serde(&self) -> Option<Serde<K>>;

    /// Source nodes of the stream behind the repartition.
    fn sources(&self) -> Vec<Arc<str>>;

    /// Writes the node that aggregates the stream.
    fn write_node(&self, node: &str, ready: Ready<K, A>, initial: Initial<A>);
}

struct InputOf<K, V, A> {
    grouped: KGroupedStream<K, V>,
    apply: Apply<K, V, A>,
    /// What lies behind the repartition, shared by all aggregates of the cogroup.
    upstream: RefCell<Option<KStream<K, V>>>,
}

impl<K, V, A> Input<K, A> for InputOf<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    fn identity(&self) -> *const () {
        Rc::as_ptr(&self.grouped.repartitioned).cast()
    }

    fn repartition(&self, store: &str, is_store_named: bool) {
        let mut upstream = self.upstream.borrow_mut();
        if upstream.is_none() {
            *upstream = Some(self.grouped.repartition_anew(store, is_store_named));
        } else if self.grouped.stream.is_rekeyed {
            self.grouped.stream.draft.borrow_mut().names.burn_repartition();
        }
    }

    fn key_serde(&self) -> Option<Serde<K>> {
        self.grouped.stream.key.clone()
    }

    fn sources(&self) -> Vec<Arc<str>> {
        self.upstream.borrow().as_ref().unwrap_or(&self.grouped.stream).sources.clone()
    }

    fn write_node(&self, node: &str, ready: Ready<K, A>, initial: Initial<A>) {
        let upstream = self.upstream.borrow();
        let upstream = upstream.as_ref().unwrap_or(&self.grouped.stream);
        ready.write_node(node, upstream, Some(initial), Arc::clone(&self.apply));
    }
}

impl<K, A> CogroupedKStream<K, A> {
    pub(crate) fn new(draft: &Shared) -> Self {
        Self { draft: draft.clone(), inputs: Vec::new(), name: None }
    }
}

impl<K, A> CogroupedKStream<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    /// Adds a stream: `aggregator` adds its values. The same grouped stream a second time only gets
    /// the new aggregator.
    ///
    /// State: none; the aggregate has it. Topics: none. Nulls: see the aggregate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<i64, i64>("orders").group_by_key();
    /// let names = builder.stream::<i64, String>("names").group_by_key();
    /// let customers = orders
    ///     .cogroup(|_, cents, customer: String| format!("{customer} {cents}"))
    ///     .cogroup(&names, |_, name, customer| name + &customer);
    /// customers.aggregate(String::new).to_stream().to("customers");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input(1, 50)?;
    /// driver.create_input_topic("names", Serdes::long(), Serdes::string()).pipe_input(1, "Ada".to_owned())?;
    /// let customers = driver.create_output_topic("customers", Serdes::long(), Serdes::string());
    /// assert_eq!(customers.read_values_to_list()?, [" 50", "Ada 50"]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn cogroup<V>(
        &self,
        grouped: &KGroupedStream<K, V>,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> Self
    where
        V: Clone + Send + 'static,
    {
        let apply = always(aggregator);
        let input = Rc::new(InputOf { grouped: grouped.clone(), apply, upstream: RefCell::new(None) });
        let mut cogrouped = self.clone();
        let known = cogrouped.inputs.iter_mut().find(|known| known.identity() == input.identity());
        match known {
            Some(known) => *known = input,
            None => cogrouped.inputs.push(input),
        }
        cogrouped
    }

    /// Names the nodes of the next aggregate, as [`KStream::named`](crate::KStream::named) does:
    /// `name-cogroup-agg-0` and so on for the streams, `name-cogroup-merge` for what they share.
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self.clone() }
    }

    /// Aggregates the values of each key, starting from `initializer()`. A null result deletes the
    /// row.
    ///
    /// State: one key-value store of the aggregates, for ever. Topics: its changelog; a repartition of each
    /// stream whose key has changed. Nulls: a record with a null key or value is dropped and counted. Late
    /// records: aggregated; the aggregate keeps its newest time.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<i64, i64>("orders").group_by_key();
    /// let sums = orders.cogroup(|_, cents, sum: i64| sum + cents);
    /// sums.aggregate(|| 100).to_stream().to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 50), (1, 20)])?;
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// assert_eq!(sums.read_values_to_list()?, [150, 170]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn aggregate(&self, initializer: impl Fn() -> A + Send + Sync + 'static) -> KTable<K, A> {
        self.aggregated(&Unwindowed, Arc::new(initializer), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A> {
        self.aggregated(&Unwindowed, Arc::new(initializer), Some(materialized))
    }

    /// Cuts the groups into windows; see
    /// [`KGroupedStream::windowed_by`](super::KGroupedStream::windowed_by). Results come with each
    /// update.
    ///
    /// State: none; the aggregate has it. Topics: none. Nulls: see the aggregate. Late records: see the
    /// aggregate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{StreamsBuilder, TimeWindows};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10))?;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<i64, i64>("orders").group_by_key();
    /// let sums = orders.cogroup(|_, cents, sum: i64| sum + cents).windowed_by(windows).aggregate(|| 0);
    /// sums.to_stream().select_key(|window, _| window.window.start.0).to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input_at(1, 50, Timestamp(13))?;
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// assert_eq!(sums.read_key_value()?, (10, 50));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn windowed_by<W: Windowing>(&self, windows: W) -> W::Cogrouped<K, A> {
        windows.cogrouped(self.clone())
    }

    fn aggregated<S: Shape<K, A>>(
        &self,
        shape: &S,
        initial: Initial<A>,
        materialized: Option<Materialized<K, A>>,
    ) -> KTable<S::Key, A> {
        let materialized = materialized.unwrap_or_default();
        let is_named = materialized.name.is_some();
        let store = self.draft.borrow_mut().store_name(&materialized, &format!("{AGGREGATE}STATE-STORE-"));
        for input in &self.inputs {
            input.repartition(&store, is_named);
        }
        // In Kafka Streams a cogroup's store has the default serde of keys, not that of a stream.
        let default = self.draft.borrow().topology.serdes.get::<K>();
        let inherited = default.or_else(|| self.inputs.iter().find_map(|input| input.key_serde()));
        let place = format!("the cogroup (in store {store})");
        let target = Target::new(&self.draft, shape, Arc::clone(&store), &place, materialized, (inherited, None));
        target.write_store();
        let mut nodes = Vec::with_capacity(self.inputs.len());
        for (input, at) in self.inputs.iter().zip(0..) {
            let node = self.node_name(&format!("-cogroup-agg-{at}"), AGGREGATE);
            if let Some(ready) = target.ready() {
                input.write_node(&node, ready, Arc::clone(&initial));
            }
            nodes.push(node);
        }
        let merge = self.node_name("-cogroup-merge", MERGE);
        let sources = self.inputs.iter().fold(Vec::new(), |sources, input| union(&sources, &input.sources()));
        if target.ready().is_some() {
            let parents: Vec<&str> = nodes.iter().map(String::as_str).collect();
            let mut draft = self.draft.borrow_mut();
            draft.then(&merge, &parents, &[], stateless::pass::<S::Key, Change<A>>());
            draft.topology.push_copartitioned(sources.clone());
        }
        target.into_table(merge, sources)
    }

    fn node_name(&self, suffix: &str, prefix: &str) -> String {
        let named = self.name.as_ref().map(|name| format!("{name}{suffix}"));
        self.draft.borrow_mut().node_name(named, prefix)
    }
}

/// Cogrouped streams in windows of a size.
#[must_use = "windows do nothing until they are aggregated"]
pub struct TimeWindowedCogroupedKStream<K, A> {
    pub(crate) cogrouped: CogroupedKStream<K, A>,
    pub(crate) windows: SizedWindows,
}

impl<K, A> TimeWindowedCogroupedKStream<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    /// Names the nodes of the next aggregate; see [`CogroupedKStream::named`](crate::CogroupedKStream::named).
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { cogrouped: self.cogrouped.named(name), windows: self.windows }
    }

    /// Aggregates the values of each key and window, starting from `initializer()`. A null result deletes the
    /// window's row.
    ///
    /// State: one window store of the aggregates, kept as a
    /// [`TimeWindowedKStream`](super::TimeWindowedKStream)'s. Topics: its changelog; a repartition of each
    /// stream whose key has changed. Nulls: a null key is dropped and counted; null values reach the
    /// aggregator, but for sliding windows, which drop them, too. Late records: for each window that is
    /// closed one counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{StreamsBuilder, TimeWindows};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10))?;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<i64, i64>("orders").group_by_key();
    /// let returns = builder.stream::<i64, i64>("returns").group_by_key();
    /// let kept = orders.cogroup(|_, cents, sum: i64| sum + cents).cogroup(&returns, |_, cents, sum| sum - cents);
    /// kept.windowed_by(windows).aggregate(|| 0).to_stream().select_key(|window, _| window.window.start.0).to("kept");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input_at(1, 50, Timestamp(13))?;
    /// driver.create_input_topic("returns", Serdes::long(), Serdes::long()).pipe_input_at(1, 20, Timestamp(14))?;
    /// let kept = driver.create_output_topic("kept", Serdes::long(), Serdes::long());
    /// assert_eq!(kept.read_key_values_to_list()?, [(10, 50), (10, 30)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn aggregate(&self, initializer: impl Fn() -> A + Send + Sync + 'static) -> KTable<Windowed<K>, A> {
        self.cogrouped.aggregated(&self.shape(), Arc::new(initializer), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A> {
        self.cogrouped.aggregated(&self.shape(), Arc::new(initializer), Some(materialized))
    }

    fn shape(&self) -> SizedShape {
        SizedShape { windows: self.windows, emit: EmitStrategy::OnWindowUpdate }
    }
}

/// Cogrouped streams in sessions.
#[must_use = "windows do nothing until they are aggregated"]
pub struct SessionWindowedCogroupedKStream<K, A> {
    pub(crate) cogrouped: CogroupedKStream<K, A>,
    pub(crate) windows: SessionWindows,
}

impl<K, A> SessionWindowedCogroupedKStream<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    /// Names the nodes of the next aggregate; see [`CogroupedKStream::named`](crate::CogroupedKStream::named).
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { cogrouped: self.cogrouped.named(name), windows: self.windows }
    }

    /// Aggregates the values of each key and session, starting from `initializer()`; sessions that
    /// become one are combined with `merger(key, aggregate, other)`. A null result deletes the session's row.
    ///
    /// State: one session store of the aggregates, kept as a
    /// [`SessionWindowedKStream`](super::SessionWindowedKStream)'s. Topics: its changelog; a repartition of
    /// each stream whose key has changed. Nulls: a null key is dropped and counted; null values reach the
    /// aggregator. Late records: one whose session is closed counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SessionWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_millis(10));
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<i64, i64>("clicks").group_by_key();
    /// let visits = clicks.cogroup(|_, pages, sum: i64| sum + pages).windowed_by(windows);
    /// let pages = visits.aggregate(|| 0, |_, one, two| one + two);
    /// pages.to_stream().select_key(|session, _| session.window.start.0).to("pages");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("clicks", Serdes::long(), Serdes::long()).pipe_input_at(1, 3, Timestamp(13))?;
    /// let pages = driver.create_output_topic("pages", Serdes::long(), Serdes::long());
    /// assert_eq!(pages.read_key_value()?, (13, 3));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn aggregate(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        merger: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.cogrouped.aggregated(&self.shape(merger), Arc::new(initializer), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        merger: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A> {
        self.cogrouped.aggregated(&self.shape(merger), Arc::new(initializer), Some(materialized))
    }

    fn shape(&self, merger: impl Fn(&K, A, A) -> A + Send + Sync + 'static) -> SessionShape<K, A> {
        let sessions = Sessions { windows: self.windows, merge: merged(merger) };
        SessionShape { sessions, emit: EmitStrategy::OnWindowUpdate }
    }
}
