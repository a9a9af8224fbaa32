//! The topology: facts and code, written by the DSL or by hand, read by the runtime.
