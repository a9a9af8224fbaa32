//! Stores of the driver: in memory, gone with it.

use millstream_state::{Engine, EngineProvider, StoreFacts};
use millstream_types::{Result, TaskId};

use crate::simulation::{Disk, Trace};
use crate::Random;

/// An empty engine in memory.
pub(super) fn memory_engine(task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
    Disk::new("test", Random::new(0), 0, Trace::new(false)).open(task, facts)
}
