//! `Printed`: where and how `print` writes.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Where and how [`KStream::print`](crate::KStream::print) writes. As in Kafka Streams a line is
/// `[label]: key, value`; the label is the node's name unless given.
///
/// ```
/// use millstream_topology::{Printed, StreamsBuilder};
///
/// let builder = StreamsBuilder::new();
/// let words = builder.stream::<i64, String>("words");
/// words.print(Printed::to_sys_out().with_label("word").with_name("show"));
/// // To a file, a socket or, as here, nowhere.
/// words.print(Printed::to_writer(std::io::sink()).with_key_value_mapper(|key, word| format!("{key}={word}")));
/// assert!(builder.build()?.describe().to_string().contains("Processor: show"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Printed<K, V> {
    pub(crate) output: Arc<Mutex<dyn Write + Send>>,
    pub(crate) label: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) mapper: Option<PrintMapper<K, V>>,
}

/// Makes the text of a record.
pub(crate) type PrintMapper<K, V> = Arc<dyn Fn(&K, &V) -> String + Send + Sync>;

impl<K, V> Printed<K, V> {
    /// To standard output.
    pub fn to_sys_out() -> Self {
        Self::to_writer(std::io::stdout())
    }

    /// To any writer.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        Self { output: Arc::new(Mutex::new(writer)), label: None, name: None, mapper: None }
    }

    /// Stands in brackets before each line.
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Name of the node.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the text after the label from key and value.
    pub fn with_key_value_mapper(mut self, mapper: impl Fn(&K, &V) -> String + Send + Sync + 'static) -> Self {
        self.mapper = Some(Arc::new(mapper));
        self
    }
}

/// The code behind `print`.
pub(crate) struct Printing<K, V> {
    printed: Printed<K, V>,
    label: String,
}

impl<K: std::fmt::Debug, V: std::fmt::Debug> Printing<K, V> {
    pub(crate) fn new(printed: Printed<K, V>, parent: &str) -> Self {
        let label = printed.label.clone().unwrap_or_else(|| parent.to_owned());
        Self { printed, label }
    }

    /// Writes one line; a closed or full output is not the stream's failure, so it is left out.
    pub(crate) fn print(&self, key: &K, value: &V) {
        let text = match &self.printed.mapper {
            Some(mapper) => mapper(key, value),
            None => format!("{key:?}, {value:?}"),
        };
        let mut output = self.printed.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(output, "[{}]: {text}", self.label) {
            tracing::debug!(%error, "a printed record was not written");
        }
    }
}
