//! Grouping a table anew: updates become "subtract the old, add the new" on another key.

use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;
use millstream_types::{Codec, CodecError, Serde};

use super::change::Change;
use super::nulls::Nulls;
use super::same_key::SameKey;
use super::table_output::TableOutput;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

/// Makes the new key and value of a row.
pub(crate) type RowSelector<K, V, K2, V2> = Arc<dyn Fn(&K, &V) -> (K2, V2) + Send + Sync>;

/// `KTABLE-SELECT`: forwards each update under the key it is grouped by.
struct TableSelect<K, V, K2, V2> {
    selector: RowSelector<K, V, K2, V2>,
    keys: SameKey<K2>,
    nulls: Nulls<K2, V2>,
    source_key: Option<Serde<K>>,
    skips_late: bool,
}

pub(crate) fn table_select<K, V, K2, V2>(
    selector: RowSelector<K, V, K2, V2>,
    source_key: Option<Serde<K>>,
    (key, value): (Serde<K2>, Serde<V2>),
    skips_late: bool,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    K2: Clone + Send + 'static,
    V2: Clone + Send + 'static,
{
    NodeFactory::processor(move || TableSelect {
        selector: Arc::clone(&selector),
        nulls: Nulls { key: Some(key.clone()), value: Some(value.clone()) },
        keys: SameKey::new(key.clone()),
        source_key: source_key.clone(),
        skips_late,
    })
}

impl<K, V, K2, V2> TableSelect<K, V, K2, V2> {
    /// The row's new key and value, unless either is null.
    fn select(&self, key: &K, value: Option<&V>) -> Option<(K2, V2)> {
        let (key, value) = (self.selector)(key, value?);
        (!self.nulls.key(&key) && !self.nulls.value(&value)).then_some((key, value))
    }
}

impl<K, V, K2, V2> Processor for TableSelect<K, V, K2, V2>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    K2: Clone + Send + 'static,
    V2: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<V>;
    type KeyOut = K2;
    type ValueOut = Change<V2>;

    fn process(
        &mut self,
        ctx: &mut Context<'_, K2, Change<V2>>,
        record: Incoming<'_, K, Change<V>>,
    ) -> Result<(), ProcessorError> {
        if self.source_key.as_ref().is_some_and(|serde| serde.is_null(&record.key)) {
            return Err("the key of a table's row must not be null where it is grouped".into());
        }
        if self.skips_late && !record.value.is_latest {
            // The group holds the newest rows of a versioned table only.
            return Ok(());
        }
        let old = self.select(&record.key, record.value.old.as_ref());
        let new = self.select(&record.key, record.value.new.as_ref());
        let rest = record.into_record().with_key(()).with_value(());
        match (old, new) {
            (Some((old_key, old)), Some((key, new))) if self.keys.is_same(&old_key, &key)? => {
                ctx.forward(rest.with_key(key).with_value(Change::new(Some(new), Some(old))));
            }
            (old, new) => {
                // First the old value, so that it is taken away before the new one is added.
                if let Some((key, old)) = old {
                    ctx.forward(rest.clone().with_key(key).with_value(Change::new(None, Some(old))));
                }
                if let Some((key, new)) = new {
                    ctx.forward(rest.with_key(key).with_value(Change::new(Some(new), None)));
                }
            }
        }
        Ok(())
    }
}

/// How values enter and leave the aggregate of a grouped table.
pub(crate) struct TableAggregation<K, V, A> {
    /// Adds a value; gets `None` where there is no aggregate.
    pub(crate) add: Arc<dyn Fn(&K, V, Option<A>) -> A + Send + Sync>,
    pub(crate) subtract: Arc<dyn Fn(&K, V, A) -> A + Send + Sync>,
    pub(crate) key: Serde<K>,
    pub(crate) result: Serde<A>,
}

impl<K, V, A> Clone for TableAggregation<K, V, A> {
    fn clone(&self) -> Self {
        Self {
            add: Arc::clone(&self.add),
            subtract: Arc::clone(&self.subtract),
            key: self.key.clone(),
            result: self.result.clone(),
        }
    }
}

/// `KTABLE-AGGREGATE` and `KTABLE-REDUCE`.
struct TableAggregate<K, V, A> {
    aggregation: TableAggregation<K, V, A>,
    output: TableOutput<K, A, TimestampedKeyValueStore<K, A>>,
}

pub(crate) fn table_aggregate<K, V, A>(
    aggregation: TableAggregation<K, V, A>,
    output: TableOutput<K, A, TimestampedKeyValueStore<K, A>>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    let name = Arc::clone(output.name());
    let make = move || TableAggregate { aggregation: aggregation.clone(), output: output.clone() };
    NodeFactory::processor(make).flushing(&name)
}

impl<K, V, A> Processor for TableAggregate<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<V>;
    type KeyOut = K;
    type ValueOut = Change<A>;

    fn init(&mut self, ctx: &mut Context<'_, K, Change<A>>) -> Result<(), ProcessorError> {
        Ok(self.output.init(ctx)?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Change<A>>,
        record: Incoming<'_, K, Change<V>>,
    ) -> Result<(), ProcessorError> {
        if self.aggregation.key.is_null(&record.key) {
            return Err("the key of an aggregated table must not be null".into());
        }
        let (key, change, rest) = record.into_record().into_parts();
        let stored = self.output.row(ctx, &key)?;
        let old = stored.as_ref().filter(|_| self.output.sends_old()).map(|row| row.value.clone());
        let mut timestamp = rest.timestamp;
        let stored_timestamp = stored.as_ref().map(|row| row.timestamp);
        let mut aggregate = stored.map(|row| row.value);
        if let (Some(value), true) = (change.old, aggregate.is_some()) {
            aggregate = aggregate.map(|aggregate| (self.aggregation.subtract)(&key, value, aggregate));
            aggregate = aggregate.filter(|aggregate| !self.aggregation.result.is_null(aggregate));
            timestamp = stored_timestamp.map_or(timestamp, |stored| stored.max(timestamp));
        }
        if let Some(value) = change.new {
            aggregate = Some((self.aggregation.add)(&key, value, aggregate));
            timestamp = stored_timestamp.map_or(timestamp, |stored| stored.max(timestamp));
        }
        let new = aggregate.filter(|aggregate| !self.aggregation.result.is_null(aggregate));
        self.output.put(ctx, rest.with_key(key).with_timestamp(timestamp), new, old)
    }

    fn flush(&mut self, ctx: &mut Context<'_, K, Change<A>>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}

/// The bytes of a change on a repartition topic (KIP-904). The last byte is the kind: old value,
/// new value, or both behind the length of the new one as a varint.
pub(crate) struct ChangeCodec<V>(pub(crate) Serde<V>);

const OLD: u8 = 0;
const NEW: u8 = 1;
const BOTH: u8 = 2;

impl<V> ChangeCodec<V> {
    fn bytes(&self, value: Option<&V>) -> Result<Option<Vec<u8>>, CodecError> {
        let Some(value) = value else { return Ok(None) };
        let mut bytes = Vec::new();
        Ok(self.0.encode(value, &mut bytes)?.then_some(bytes))
    }

    fn part(&self, bytes: &[u8]) -> Result<Option<V>, CodecError> {
        self.0.decode(Some(bytes)).map(Some)
    }
}

impl<V: Send + 'static> Codec<Change<V>> for ChangeCodec<V> {
    fn encode(&self, change: &Change<V>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match (self.bytes(change.new.as_ref())?, self.bytes(change.old.as_ref())?) {
            (Some(new), Some(old)) => {
                write_varint(new.len(), out);
                out.extend_from_slice(&new);
                out.extend_from_slice(&old);
                out.push(BOTH);
            }
            (Some(new), None) => {
                out.extend_from_slice(&new);
                out.push(NEW);
            }
            (None, Some(old)) => {
                out.extend_from_slice(&old);
                out.push(OLD);
            }
            (None, None) => return Err(CodecError::format("a change has neither an old nor a new value")),
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Change<V>, CodecError> {
        let broken = || CodecError::format("the bytes of a change end too early");
        let (kind, body) = bytes.split_last().ok_or_else(broken)?;
        // Kinds 3 to 5 carry whether the change is the latest before the kind (KIP-904).
        let (is_latest, body) = match kind {
            3..=5 => body.split_last().map(|(flag, body)| (*flag != 0, body)).ok_or_else(broken)?,
            _ => (true, body),
        };
        let change = match kind % 3 {
            OLD => Change { new: None, old: self.part(body)?, is_latest },
            NEW => Change { new: self.part(body)?, old: None, is_latest },
            _ => {
                let (length, body) = read_varint(body).ok_or_else(broken)?;
                let (new, old) = body.split_at_checked(length).ok_or_else(broken)?;
                Change { new: self.part(new)?, old: self.part(old)?, is_latest }
            }
        };
        if *kind > 5 {
            return Err(CodecError::format(format!("a change has the unknown kind {kind}")));
        }
        Ok(change)
    }
}

/// Kafka's unsigned varint: seven bits a byte, lowest first.
fn write_varint(number: usize, out: &mut Vec<u8>) {
    let mut rest = number as u32;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0u32;
    for (position, byte) in bytes.iter().enumerate().take(5) {
        number |= u32::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((number as usize, bytes.get(position + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::Serdes;

    #[track_caller]
    fn check(change: &Change<String>, bytes: &[u8]) {
        let codec = ChangeCodec(Serdes::string());
        let mut out = Vec::new();
        codec.encode(change, &mut out).unwrap();
        assert_eq!(out, bytes);
        assert_eq!(codec.decode(bytes).unwrap(), *change);
    }

    #[test]
    fn changes_have_kafkas_bytes() {
        check(&Change::new(None, Some("a".into())), b"a\x00");
        check(&Change::new(Some("b".into()), None), b"b\x01");
        check(&Change::new(Some("bc".into()), Some("a".into())), b"\x02bca\x02");
    }

    #[test]
    fn broken_changes_are_errors() {
        let codec = ChangeCodec(Serdes::string());
        for bytes in [&b""[..], b"\x02", b"\x09a\x02", b"\x03", b"a\x07"] {
            assert!(codec.decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
