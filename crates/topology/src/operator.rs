//! Operators: the processors behind the DSL. Each is a processor like any user's.

pub(crate) mod aggregate;
pub(crate) mod change;
pub(crate) mod foreign_key;
pub(crate) mod join;
pub(crate) mod join_kind;
pub(crate) mod nulls;
pub(crate) mod same_key;
pub(crate) mod self_join;
pub(crate) mod stateless;
pub(crate) mod stream_join;
pub(crate) mod suppress;
pub(crate) mod table;
pub(crate) mod table_group;
pub(crate) mod table_join;
pub(crate) mod table_map;
pub(crate) mod table_output;
pub(crate) mod table_view;
pub(crate) mod transform;
pub(crate) mod windowed;
