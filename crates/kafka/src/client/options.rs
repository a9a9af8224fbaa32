//! Settings of the client, from Kafka's own keys.

use crate::net::Address;

/// Settings of the client.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    /// `bootstrap.servers`.
    pub(crate) bootstrap: Vec<Address>,
    /// `client.id`, or what stands for it until the process is known.
    pub(crate) client_id: String,
    /// Whether the configuration gave it.
    pub(crate) has_client_id: bool,
    /// `request.timeout.ms`.
    pub(crate) request_timeout_ms: i64,
    /// `retry.backoff.ms`.
    pub(crate) retry_backoff_ms: i64,
    /// `reconnect.backoff.ms`.
    pub(crate) reconnect_backoff_ms: i64,
    /// `reconnect.backoff.max.ms`.
    pub(crate) reconnect_backoff_max_ms: i64,
    /// `socket.connection.setup.timeout.ms`.
    pub(crate) connection_setup_timeout_ms: i64,
    /// `socket.connection.setup.timeout.max.ms`.
    pub(crate) connection_setup_timeout_max_ms: i64,
    /// `connections.max.idle.ms`.
    pub(crate) connections_max_idle_ms: i64,
    /// `metadata.max.age.ms`.
    pub(crate) metadata_max_age_ms: i64,
    /// `default.api.timeout.ms`: how long a call about topics or offsets is tried.
    pub(crate) api_timeout_ms: i64,
    /// `metadata.recovery.rebootstrap.trigger.ms`; `None` with `metadata.recovery.strategy=none`.
    pub(crate) rebootstrap_trigger_ms: Option<i64>,
    /// Longest frame taken from a broker, in bytes.
    pub(crate) frame_bytes_max: usize,
    /// Seed of the generator behind the jitter of backoffs.
    pub(crate) seed: u64,
}

impl ClientOptions {
    /// Kafka's defaults.
    pub(crate) fn new(bootstrap: Vec<Address>, seed: u64) -> Self {
        Self {
            bootstrap,
            client_id: "millstream".to_owned(),
            has_client_id: false,
            request_timeout_ms: 30_000,
            retry_backoff_ms: 100,
            reconnect_backoff_ms: 50,
            reconnect_backoff_max_ms: 1_000,
            connection_setup_timeout_ms: 10_000,
            connection_setup_timeout_max_ms: 30_000,
            connections_max_idle_ms: 540_000,
            metadata_max_age_ms: 300_000,
            api_timeout_ms: 60_000,
            rebootstrap_trigger_ms: Some(300_000),
            frame_bytes_max: 128 * 1024 * 1024,
            seed,
        }
    }
}
