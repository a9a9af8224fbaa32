//! Global stores: which topic feeds one, and how.

use std::sync::Arc;

use millstream_state::{Engine, EngineProvider, StateStore, StoreEnv, StoreFactory, StoreFacts};
use millstream_types::{Result, TaskId};
use parking_lot::RwLock;

use super::Topology;
use crate::flow::{FlowBuild, FlowOptions, GlobalEngine, GlobalFlow, GlobalState, Head, SourceFactory};

/// What Kafka Streams calls the task of global stores.
const GLOBAL_TASK: TaskId = TaskId { subtopology: -1, partition: -1 };

/// A global store: which topic feeds it and how that is read.
#[derive(Clone)]
pub struct GlobalStore {
    /// Facts of the store.
    pub store: StoreFacts,
    /// Name of its source node.
    pub source: Arc<str>,
    /// The topic that feeds it.
    pub topic: Arc<str>,
    /// The user's processor that keeps the store; `None` where records are rows, as in a global
    /// table.
    pub processor: Option<Arc<str>>,
    pub(crate) head: SourceFactory,
}

impl GlobalStore {
    /// A slot that decodes records of the topic: for the processor, or to find those that cannot
    /// be read.
    pub fn new_head(&self) -> Box<dyn Head> {
        (self.head.head)()
    }

    /// The flow of the store's processor over the store's engine in `state`; `None` where there is
    /// no processor.
    ///
    /// # Errors
    /// What the store's factory and the processor's `init` give.
    pub fn new_flow(
        &self,
        topology: &Topology,
        application_id: &Arc<str>,
        options: &Arc<FlowOptions>,
        state: &Arc<RwLock<GlobalState>>,
        wall_ms: i64,
    ) -> Result<Option<GlobalFlow>> {
        let Some(processor) = &self.processor else { return Ok(None) };
        let build = FlowBuild {
            task: GLOBAL_TASK,
            application_id: Arc::clone(application_id),
            internal_topics: topology.internal_topics(),
        };
        let nodes = [Arc::clone(&self.source), Arc::clone(processor)];
        let flow =
            topology.flow(&nodes, build, Arc::clone(options), &mut |factory| Ok(reading(factory, state, false)))?;
        GlobalFlow::new(flow, &self.source, wall_ms).map(Some)
    }
}

impl Topology {
    /// A global store to be read at once, over its engine in `state`; `None` when there is none of that name. Is it
    /// nested, the caller may be a flow that holds the state open.
    ///
    /// # Errors
    /// What its factory gives.
    pub fn global_reader(
        &self,
        store: &str,
        state: &Arc<RwLock<GlobalState>>,
        is_nested: bool,
    ) -> Result<Option<Box<dyn StateStore>>> {
        let is_global = self.globals.iter().any(|global| *global.store.name == *store);
        let factory = self.stores.iter().find(|factory| is_global && *factory.facts().name == *store);
        factory.map(|factory| factory.build(reading(&**factory, state, is_nested))).transpose()
    }
}

/// What a global store is built over: its engine in the state that tasks read. A record cache would hide writes from
/// them.
pub(crate) fn reading(factory: &dyn StoreFactory, state: &Arc<RwLock<GlobalState>>, is_nested: bool) -> StoreEnv {
    let engine = GlobalEngine { state: Arc::clone(state), store: Arc::clone(&factory.facts().name), is_nested };
    StoreEnv::new(Box::new(engine))
}

/// The factory of a global store: neither logged nor cached, whatever the user's says.
pub(crate) struct GlobalFactory {
    factory: Arc<dyn StoreFactory>,
    facts: StoreFacts,
}

impl GlobalFactory {
    pub(crate) fn new(factory: Arc<dyn StoreFactory>) -> Self {
        let mut facts = factory.facts().clone();
        (facts.is_logged, facts.is_cached) = (false, false);
        facts.changelog_configs.clear();
        Self { factory, facts }
    }
}

impl StoreFactory for GlobalFactory {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn open_engine(&self, task: Option<TaskId>, engines: &dyn EngineProvider) -> Result<Box<dyn Engine>> {
        self.factory.open_engine(task, engines)
    }

    fn build(&self, env: StoreEnv) -> Result<Box<dyn StateStore>> {
        self.factory.build(env)
    }
}
