//! The typed DSL: what a user writes. Every call adds nodes to a draft of the topology in the order
//! of the calls, which fixes names and numbers as in Kafka Streams.

mod aggregate;
mod aggregate_shape;
mod branch;
mod builder;
mod builder_stores;
mod cogrouped_stream;
mod draft;
mod emit_strategy;
mod foreign_key_join;
mod global_table;
mod grouped_stream;
mod grouped_table;
mod join;
mod join_grace;
mod join_parts;
mod join_windows;
mod lazy_table;
mod names;
mod optimise;
mod options;
mod outline;
mod repartition;
mod session_stream;
mod session_windows;
mod sliding_windows;
mod source;
mod stream;
mod stream_join;
mod stream_map;
mod stream_route;
mod stream_table;
mod suppress;
mod table;
mod table_join;
mod table_source;
mod table_store;
mod table_stream;
mod transform;
mod unlimited_windows;
mod value;
mod window;
mod windowed_stream;
mod windowing;

pub(crate) use draft::Switch;
pub(crate) use windowing::FixedWindows;

pub use branch::{Branched, BranchedKStream};
pub use builder::StreamsBuilder;
pub use cogrouped_stream::{CogroupedKStream, SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream};
pub use emit_strategy::EmitStrategy;
pub use global_table::GlobalKTable;
pub use grouped_stream::KGroupedStream;
pub use grouped_table::KGroupedTable;
pub use join_windows::JoinWindows;
pub use options::{
    BufferConfig, Consumed, EagerBufferConfig, EmitEarly, Grouped, Joined, Materialized, Printed, Produced,
    Repartitioned, ShutDown, StreamJoined, StrictBufferConfig, Suppressed, TableJoined,
};
pub use session_stream::SessionWindowedKStream;
pub use session_windows::SessionWindows;
pub use sliding_windows::SlidingWindows;
pub use stream::KStream;
pub use table::KTable;
pub use unlimited_windows::UnlimitedWindows;
pub use value::IntoTableValue;
pub use window::TimeWindows;
pub use windowed_stream::TimeWindowedKStream;
pub use windowing::Windowing;
