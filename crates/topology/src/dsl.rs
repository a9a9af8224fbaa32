//! The typed DSL: what a user writes. Every call adds nodes to a draft of the topology in the order
//! of the calls, which fixes names and numbers as in Kafka Streams.

mod branch;
mod builder;
mod draft;
mod foreign_key_join;
mod global_table;
mod grouped_stream;
mod grouped_table;
mod join;
mod join_grace;
mod join_parts;
mod join_windows;
mod names;
mod optimise;
mod options;
mod outline;
mod repartition;
mod source;
mod stream;
mod stream_join;
mod stream_route;
mod stream_table;
mod suppress;
mod table;
mod table_join;
mod table_source;
mod table_store;
mod transform;
mod value;
mod window;
mod windowed_stream;

pub(crate) use draft::Switch;

pub use branch::{Branched, BranchedKStream};
pub use builder::StreamsBuilder;
pub use global_table::GlobalKTable;
pub use grouped_stream::KGroupedStream;
pub use grouped_table::KGroupedTable;
pub use join_windows::JoinWindows;
pub use options::{
    BufferConfig, Consumed, EagerBufferConfig, EmitEarly, Grouped, Joined, Materialized, Printed, Produced,
    Repartitioned, ShutDown, StreamJoined, StrictBufferConfig, Suppressed, TableJoined,
};
pub use stream::KStream;
pub use table::KTable;
pub use value::IntoTableValue;
pub use window::TimeWindows;
pub use windowed_stream::TimeWindowedKStream;
