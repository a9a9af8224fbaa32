//! Typed reading and writing of topics from outside a topology: how records get into a log and out of
//! it. These block the calling thread; nothing of the runtime uses them.

mod consumer;
mod producer;

pub use consumer::{ConsumedRecord, Consumer};
pub use producer::Producer;

use std::time::Duration;

use millstream_log::{Call, Log, Outcome};
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, Error, ErrorKind, Now, Result};

/// Longest wait for an answer of the log: longer than its own calls take, which know why they failed.
const ANSWER_MAX: Duration = Duration::from_secs(150);
/// Longest wait between two looks at it.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for the answer of a call to a log, on the calling thread: for programs beside an application,
/// never for what runs inside one.
///
/// ```
/// use millstream_log::{EmbeddedLog, Log, NewTopic, Options};
///
/// let log = EmbeddedLog::memory(Options::default());
/// let topic = NewTopic { name: "words".into(), partitions: 4, replication_factor: -1, configs: vec![] };
/// millstream_runtime::answer(&log, log.admin().create_topics(&[topic]))?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// # Errors
/// What the log answers; `Retriable` when it does not answer for minutes.
pub fn answer<T>(log: &dyn Log, mut call: Call<T>) -> Result<T> {
    wait(log, &SystemClock::new(), |now| call.poll(now))
}

/// Number of partitions of a topic, made by the log if it does not exist and the log does so.
fn partition_count(log: &dyn Log, clock: &dyn Clock, topic: &str) -> Result<i32> {
    let mut writer = log.writer(None);
    let count = wait(log, clock, |now| writer.partition_count(topic, now));
    count.map_err(|error| error.with_context(|context| context.topic = Some(topic.into())))
}

/// Polls until there is an outcome.
fn wait<T>(log: &dyn Log, clock: &dyn Clock, mut poll: impl FnMut(Now) -> Outcome<T>) -> Result<T> {
    let give_up_ns = clock.now().mono_ns.saturating_add(ANSWER_MAX.as_nanos() as u64);
    loop {
        let now = clock.now();
        match poll(now) {
            Outcome::Done(answer) => return Ok(answer),
            Outcome::Failed(failure) => return Err(failure.error),
            Outcome::Pending if now.mono_ns < give_up_ns => log.wait(LOOK),
            Outcome::Pending => {
                return Err(Error::new(ErrorKind::Retriable, "the log gave no answer for minutes"));
            }
        }
    }
}
