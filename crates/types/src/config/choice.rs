//! Settings with few values, each as an enum.

/// Writes an enum, the names of its values, and the way from a kept name back to the value. The
/// first name of a value is the one it is kept under; the first value stands where nothing else
/// is known.
macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        $type:ident { $($(#[$value_doc:meta])* $value:ident = $($name:literal)|+,)+ }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$value_doc])* $value,)+
        }

        impl $type {
            /// The names of each value; see [`Allowed::OneOf`](super::Allowed::OneOf).
            pub(super) const NAMES: &'static [&'static [&'static str]] = &[$(&[$($name),+]),+];

            const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The name in a properties file.
            pub fn as_str(self) -> &'static str {
                let names: &[&'static str] = match self {
                    $(Self::$value => &[$($name),+],)+
                };
                names.first().copied().unwrap_or_default()
            }

            /// The value kept under this name.
            pub(super) fn from_kept(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

choices! {
    /// `processing.guarantee`: what a crash may do to results.
    ProcessingGuarantee {
        /// Nothing is lost; records may be processed again.
        AtLeastOnce = "at_least_once",
        /// Outputs, state and progress are committed together.
        ExactlyOnceV2 = "exactly_once_v2",
        /// Nothing is processed twice; records may be lost. Not in Kafka Streams.
        AtMostOnce = "at_most_once",
    }

    /// What a handler does with a record that fails, where none is given in code.
    HandlerChoice {
        /// Fail: the error goes to the uncaught-exception handler.
        Fail = "fail" | "LogAndFailExceptionHandler" | "LogAndFailProcessingExceptionHandler" | "DefaultProductionExceptionHandler",
        /// Drop the record, count and log it, write it to the dead-letter topic if one is set.
        Continue = "continue" | "LogAndContinueExceptionHandler" | "LogAndContinueProcessingExceptionHandler",
    }

    /// `default.timestamp.extractor`: where event time comes from, where `Consumed` names nothing.
    TimestampExtractorChoice {
        /// The record's timestamp; a negative one is an error.
        FailOnInvalidTimestamp = "fail" | "FailOnInvalidTimestamp",
        /// The record's timestamp; records with a negative one are dropped.
        LogAndSkipOnInvalidTimestamp = "skip" | "LogAndSkipOnInvalidTimestamp",
        /// The record's timestamp; for a negative one the highest time seen in its partition.
        UsePartitionTimeOnInvalidTimestamp = "partition_time" | "UsePartitionTimeOnInvalidTimestamp",
        /// The wall clock when the record is read.
        WallclockTimestamp = "wallclock" | "WallclockTimestampExtractor",
    }

    /// `dsl.store.suppliers.class`: where stores of the DSL live unless `Materialized` says so.
    DslStoreChoice {
        /// In the state directory.
        Persistent = "persistent" | "rocksDB" | "RocksDBDslStoreSuppliers",
        /// In memory; rebuilt from the changelog at each start.
        InMemory = "in_memory" | "InMemoryDslStoreSuppliers",
    }

    /// `dsl.store.format`: what the DSL's stores keep beside a value.
    DslStoreFormat {
        /// The timestamp.
        Default = "DEFAULT",
        /// Timestamp and headers (KIP-1285).
        Headers = "HEADERS",
    }

    /// `group.protocol`: who assigns tasks when running on brokers.
    GroupProtocol {
        /// The leader among the instances.
        Classic = "classic",
        /// The broker (KIP-1071).
        Streams = "streams",
    }

    /// `group.topology.upgrade`: what to do when the group on the brokers has another topology, and may not change it.
    TopologyUpgrade {
        /// Nothing: the application ends with an error that says what can be done.
        Manual = "manual",
        /// The group is made anew with its committed offsets, once all instances of the old version have stopped.
        Auto = "auto",
    }

    /// `log.flush`: what an append to the embedded log survives.
    LogFlush {
        /// A crash of the process: the operating system has the bytes.
        Os = "os",
        /// A crash of the machine: files are synced at each commit.
        Commit = "commit",
    }

    /// `embedded.compression.type`: how batches lie in the embedded log.
    EmbeddedCompression {
        /// As they are.
        None = "none",
        /// Compressed by lz4.
        Lz4 = "lz4",
    }

    /// `metrics.recording.level`: which sensors of processors record.
    MetricsLevel {
        /// Sensors of level INFO.
        Info = "INFO",
        /// Also sensors of level DEBUG.
        Debug = "DEBUG",
        /// All sensors.
        Trace = "TRACE",
    }

    /// `rack.aware.assignment.strategy`.
    RackStrategy {
        /// Racks do not count.
        None = "none",
        /// As little traffic between racks as can be.
        MinTraffic = "min_traffic",
        /// First spread each sub-topology, then traffic.
        BalanceSubtopology = "balance_subtopology",
    }
}
