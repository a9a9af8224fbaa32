//! Option objects: serdes, names and settings given beside a call. All are optional; what is not
//! given is taken from the stream or from the builder's defaults by type.

mod consumed;
mod grouped;
mod joined;
mod materialized;
mod printed;
mod produced;
mod repartitioned;
mod stream_joined;
mod suppressed;
mod table_joined;

pub use consumed::Consumed;
pub use grouped::Grouped;
pub use joined::Joined;
pub use materialized::Materialized;
pub use printed::Printed;
pub(crate) use printed::Printing;
pub use produced::Produced;
pub use repartitioned::Repartitioned;
pub use stream_joined::StreamJoined;
pub use suppressed::{BufferConfig, EagerBufferConfig, EmitEarly, ShutDown, StrictBufferConfig, Suppressed};
pub(crate) use suppressed::{BufferLimits, Until};
pub use table_joined::TableJoined;
