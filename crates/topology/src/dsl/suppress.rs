//! `KTable`: holding updates back.

use std::rc::Rc;
use std::sync::Arc;

use millstream_state::Stores;

use super::KTable;
use super::draft::Draft;
use super::names::STATE_STORE;
use super::options::{BufferLimits, Suppressed, Until};
use super::outline::Unnamed;
use super::table_source::{SuppressedOrigin, TableOrigin};
use crate::graph::{NodeKind, SinkTopic};
use crate::operator::suppress::{SuppressSpec, suppress};

const SUPPRESS: &str = "KTABLE-SUPPRESS-";

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Holds updates back: until so much stream time has passed, or until the window of the key has
    /// closed (KIP-328). Only the last update of a key goes on, with its own timestamp and headers.
    /// Time is the time of the records that reach this operator: nothing goes on while none come.
    ///
    /// State: a buffer in memory of the updates held. Topics: its changelog, to which each commit writes
    /// the keys touched. Nulls: a deleted row is held and goes on like any other, except with
    /// [`until_window_closes`](Suppressed::until_window_closes), where it is left out. Late records: one
    /// for a window that is over was dropped by the aggregate already.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{BufferConfig, StreamsBuilder, Suppressed, TimeWindows};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10))?;
    /// let builder = StreamsBuilder::new();
    /// let counts = builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(windows).count();
    /// let finals = counts.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()));
    /// finals.to_stream().select_key(|window, _| window.window.start.0).to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// for time in [1, 2, 12] {
    ///     clicks.pipe_input_at(1, 0, Timestamp(time))?;
    /// }
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(0, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn suppress(&self, suppressed: Suppressed<K>) -> Self {
        let given = suppressed.name.or_else(|| self.name.clone());
        let (node, store) = {
            let mut draft = self.draft.borrow_mut();
            draft.check_name(given.as_deref());
            if let Some(name) = given {
                // Unlike other operators, a named one takes no number.
                (name.clone(), format!("{name}-store"))
            } else {
                let node = draft.names.generate(SUPPRESS);
                let store = draft.names.generate(&format!("{SUPPRESS}{STATE_STORE}"));
                if suppressed.buffer.is_logged {
                    draft.unnamed(Unnamed::Store { name: store.as_str().into(), is_logged: true });
                }
                (node, store)
            }
        };
        let store: Arc<str> = store.into();
        let (wait_ms, window_end) = match suppressed.until {
            Until::TimeLimit(limit) => (limit, None),
            Until::WindowClose(end) => (self.draft.borrow_mut().grace_above(&self.node), Some(end)),
        };
        if self.origin.is_versioned() {
            let problem =
                format!("{node} cannot hold back updates of a versioned table: they may be older than its rows");
            self.draft.borrow_mut().problem(problem);
        }
        self.origin.send_old_values(true);
        let BufferLimits { records_max, bytes_max, is_strict, is_logged, changelog_configs } = suppressed.buffer;
        let spec = SuppressSpec { store: Arc::clone(&store), wait_ms, window_end, records_max, bytes_max, is_strict };
        let mut draft = self.draft.borrow_mut();
        let place = draft.place(&node, &[&self.sources]);
        let key = draft.serde(self.key.as_ref(), None, "keys", &place);
        let value = draft.serde(self.value.as_ref(), None, "values", &place);
        if let Some((key, value)) = key.clone().zip(value.clone()) {
            let builder = Stores::change_buffer_builder(Arc::clone(&store), key, value);
            draft.add_store(if is_logged {
                builder.with_logging_enabled(changelog_configs).into_factory()
            } else {
                builder.with_logging_disabled().into_factory()
            });
        }
        draft.then(&node, &[&self.node], &[Arc::clone(&store)], suppress::<K, V>(spec));
        drop(draft);
        let parent = Rc::clone(&self.origin);
        let origin: Rc<dyn TableOrigin<K, V>> = Rc::new(SuppressedOrigin { parent, buffer: store });
        KTable { node: node.into(), key, value, origin, queryable: None, ..self.clone() }
    }
}

impl Draft {
    /// Grace period of the windowed aggregates that a node's records come from: the largest of
    /// them, in ms. Without any on some path, a problem.
    fn grace_above(&mut self, node: &str) -> i64 {
        match self.find_grace(node, String::new()) {
            Ok(grace) => grace,
            Err(path) => {
                self.problem(format!("a window's close is only known for windowed aggregates, not for {path}"));
                0
            }
        }
    }

    /// The same; what it went along, if there is none.
    fn find_grace(&self, node: &str, below: String) -> Result<i64, String> {
        if let Some(grace) = self.graces.get(node) {
            return Ok(*grace);
        }
        let path = if below.is_empty() { node.to_owned() } else { format!("{node} -> {below}") };
        let mut grace = None;
        for parent in self.upstream(node) {
            grace = grace.max(Some(self.find_grace(&parent, path.clone())?));
        }
        grace.ok_or(path)
    }

    /// The parents of a node; of one that reads a repartition topic, the sinks that write it.
    fn upstream(&self, node: &str) -> Vec<Arc<str>> {
        let facts = &self.topology.facts;
        let Some(node) = facts.node(node) else { return Vec::new() };
        let NodeKind::Source(source) = &node.kind else { return node.parents.clone() };
        let is_read = |topic: &Arc<str>| source.topics.contains(topic) && facts.is_repartition_topic(topic);
        let writes = facts.nodes.iter().filter(|writer| match &writer.kind {
            NodeKind::Sink { topic: SinkTopic::Fixed(topic) } => is_read(topic),
            _ => false,
        });
        writes.map(|writer| Arc::clone(&writer.name)).collect()
    }
}
