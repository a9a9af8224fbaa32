//! The processor catalogue, on Millstream's processor API.

mod around;

use std::time::Duration;

use bytes::Bytes;
use millstream_state::{
    KeyValueStore, PutReturn, TimestampedKeyValueStore, ValueAndTimestamp, VersionedKeyValueStore, WindowStore,
};
use millstream_topology::{
    Context, FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, Incoming, Processor, ProcessorError,
    PunctuationType, StoreHandle, Timer,
};
use millstream_types::{Headers, Record, Timestamp};

use self::around::{Around, Fixed};
use crate::build::Types;
use crate::functions::{BOOM, argument, name_of, parsed, want};
use crate::stop::{Stop, bad, unsupported};
use crate::value::{Type, Val};

/// What a processor of the catalogue does, and on which store.
#[derive(Clone)]
pub(crate) struct Logic {
    spec: String,
    store: Option<(String, Kind)>,
    tick: Option<Tick>,
}

/// Kinds of stores a processor may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    KeyValue,
    Timestamped,
    Window,
    Versioned,
}

#[derive(Clone, Copy)]
struct Tick {
    clock: PunctuationType,
    start: Option<i64>,
    interval: Duration,
}

/// Types of what a processor forwards.
pub(crate) fn outputs(spec: &str, types: &Types, keeps_key: bool) -> Result<Types, Stop> {
    let key = types.key.clone();
    Ok(match name_of(spec) {
        "pass" | "drop" | "twice" | "commit" | "failIf" | "dedup" | "hdrAdd" | "hdrDel" | "tsShift" | "tsRaw" => {
            types.clone()
        }
        "route" | "flushTick" => {
            want(!keeps_key, spec)?;
            types.clone()
        }
        "counter" => Types::new(key, Type::I64),
        "countTick" | "tickOnce" | "anchorTick" => {
            want(!keeps_key, spec)?;
            Types::new(Type::Str, Type::I64)
        }
        "kvput" | "kvdel" | "kvabsent" | "kvall" | "tskv" | "win" | "ver" | "hdrShow" | "meta" | "times" => {
            Types::new(key, Type::Str)
        }
        _ => return Err(unsupported(format!("processor {spec}"))),
    })
}

impl Logic {
    /// The processor `spec` over a store of that name and kind; a store that was not added for
    /// processors is taken for what the processor needs.
    pub(crate) fn new(spec: &str, store: Option<(&str, Option<&str>)>) -> Result<Self, Stop> {
        let wanted = match name_of(spec) {
            "dedup" | "counter" | "kvput" | "kvdel" | "kvabsent" | "kvall" | "flushTick" | "gput" => {
                Some(Kind::KeyValue)
            }
            "tskv" => Some(Kind::Timestamped),
            "win" => Some(Kind::Window),
            "ver" => Some(Kind::Versioned),
            _ => None,
        };
        let store = match store {
            None => None,
            Some((name, kind)) => {
                let kind = match kind {
                    Some("kv" | "lru") => Kind::KeyValue,
                    Some("tskv") => Kind::Timestamped,
                    Some("window") => Kind::Window,
                    Some("versioned") => Kind::Versioned,
                    Some(kind) => return Err(unsupported(format!("store kind {kind}"))),
                    None => wanted.unwrap_or(Kind::KeyValue),
                };
                Some((name.to_owned(), kind))
            }
        };
        // In Java the cast of the store would fail while the case runs.
        want(wanted.is_none_or(|wanted| store.as_ref().is_some_and(|(_, kind)| *kind == wanted)), spec)?;
        Ok(Self { tick: tick(spec)?, spec: spec.to_owned(), store })
    }

    pub(crate) fn processor(&self) -> Catalogued {
        Catalogued { logic: self.clone(), store: Store::None, timer: None, seen: 0 }
    }
}

fn tick(spec: &str) -> Result<Option<Tick>, Stop> {
    let has_start = match name_of(spec) {
        "countTick" | "tickOnce" | "flushTick" => false,
        "anchorTick" => true,
        _ => return Ok(None),
    };
    let mut parts = argument(spec)?.split(',');
    let mut part = || parts.next().ok_or_else(|| bad(format!("processor {spec} needs more arguments")));
    let clock = if part()? == "stream" { PunctuationType::StreamTime } else { PunctuationType::WallClockTime };
    let start = if has_start { Some(parsed(part()?, spec)?) } else { None };
    let interval = Duration::from_millis(parsed(part()?, spec)?);
    Ok(Some(Tick { clock, start, interval }))
}

/// The handle of the store, by its kind.
#[derive(Clone, Copy)]
enum Store {
    None,
    KeyValue(StoreHandle<KeyValueStore<Val, Val>>),
    Timestamped(StoreHandle<TimestampedKeyValueStore<Val, Val>>),
    Window(StoreHandle<WindowStore<Val, Val>>),
    Versioned(StoreHandle<VersionedKeyValueStore<Val, Val>>),
}

/// A processor of the catalogue.
pub(crate) struct Catalogued {
    logic: Logic,
    store: Store,
    timer: Option<Timer>,
    seen: i64,
}

type Ctx<'a> = Context<'a, Val, Val>;
type Rec = Record<Val, Val>;

impl Processor for Catalogued {
    type KeyIn = Val;
    type ValueIn = Val;
    type KeyOut = Val;
    type ValueOut = Val;

    fn init(&mut self, ctx: &mut Ctx<'_>) -> Result<(), ProcessorError> {
        self.open(ctx)?;
        self.timer = self.logic.tick.map(|tick| match tick.start {
            Some(start) => ctx.schedule_at(Timestamp(start), tick.interval, tick.clock),
            None => ctx.schedule(tick.interval, tick.clock),
        });
        Ok(())
    }

    fn process(&mut self, ctx: &mut Ctx<'_>, record: Incoming<'_, Val, Val>) -> Result<(), ProcessorError> {
        self.handle(ctx, record.into_record())
    }

    fn punctuate(&mut self, ctx: &mut Ctx<'_>, timer: Timer, time: Timestamp) -> Result<(), ProcessorError> {
        match name_of(&self.logic.spec) {
            "countTick" | "anchorTick" => ctx.forward(Record::new(Val::text("tick"), Val::I64(self.seen), time)),
            "tickOnce" => {
                ctx.forward(Record::new(Val::text("once"), Val::I64(self.seen), time));
                ctx.cancel(timer);
            }
            _ => {
                let Store::KeyValue(store) = self.store else { return Ok(()) };
                for row in ctx.store(store).all()? {
                    let (key, value) = row?;
                    ctx.forward(Record::new(key.clone(), value, time));
                    ctx.store(store).delete(&key)?;
                }
            }
        }
        Ok(())
    }
}

impl FixedKeyProcessor for Catalogued {
    type Key = Val;
    type ValueIn = Val;
    type ValueOut = Val;

    fn init(&mut self, ctx: &mut FixedKeyContext<'_, Val, Val>) -> Result<(), ProcessorError> {
        self.open(&mut Fixed { ctx, record: None })
    }

    fn process(
        &mut self,
        ctx: &mut FixedKeyContext<'_, Val, Val>,
        record: FixedKeyIncoming<'_, Val, Val>,
    ) -> Result<(), ProcessorError> {
        let record = record.into_record();
        let own = Rec::clone(&record);
        self.handle(&mut Fixed { ctx, record: Some(record) }, own)
    }
}

impl Catalogued {
    fn open(&mut self, ctx: &mut impl Around) -> Result<(), ProcessorError> {
        self.store = match &self.logic.store {
            None => Store::None,
            Some((name, Kind::KeyValue)) => Store::KeyValue(ctx.store_handle(name)?),
            Some((name, Kind::Timestamped)) => Store::Timestamped(ctx.store_handle(name)?),
            Some((name, Kind::Window)) => Store::Window(ctx.store_handle(name)?),
            Some((name, Kind::Versioned)) => Store::Versioned(ctx.store_handle(name)?),
        };
        Ok(())
    }

    fn handle(&mut self, ctx: &mut impl Around, record: Rec) -> Result<(), ProcessorError> {
        match name_of(&self.logic.spec) {
            "pass" => ctx.send(record),
            "drop" => {}
            "twice" => {
                ctx.send(record.clone());
                ctx.send(record);
            }
            "commit" => {
                ctx.commit();
                ctx.send(record);
            }
            "failIf" => {
                if record.value.show() == self.argument() {
                    return Err(format!("{BOOM}: failIf").into());
                }
                ctx.send(record);
            }
            "countTick" | "tickOnce" | "anchorTick" => self.seen += 1,
            "route" => {
                let children: Vec<&str> = self.argument().split(',').collect();
                let child = children.get((record.value.hash() % children.len() as u64) as usize);
                ctx.send_to(child.copied().unwrap_or_default(), record)?;
            }
            name if name.starts_with("hdr") => self.headers(ctx, record),
            "meta" | "times" | "tsShift" | "tsRaw" => self.times(ctx, record)?,
            _ if record.key.is_null() => {}
            _ => self.on_store(ctx, record)?,
        }
        Ok(())
    }

    fn argument(&self) -> &str {
        self.logic.spec.split_once(':').map_or("", |(_, argument)| argument)
    }

    fn headers(&self, ctx: &mut impl Around, mut record: Rec) {
        match name_of(&self.logic.spec) {
            "hdrAdd" => {
                let (name, text) = self.argument().split_once('=').unwrap_or_default();
                record.headers.add(name, Some(Bytes::copy_from_slice(text.as_bytes())));
                ctx.send(record);
            }
            "hdrDel" => {
                record.headers.remove(self.argument());
                ctx.send(record);
            }
            _ => {
                let shown = show_headers(&record.headers);
                ctx.send(record.with_value(Val::Str(shown)));
            }
        }
    }

    fn times(&self, ctx: &mut impl Around, record: Rec) -> Result<(), ProcessorError> {
        let time = record.timestamp;
        match name_of(&self.logic.spec) {
            "meta" => {
                let at = ctx.record_metadata();
                let topic = at.topic.as_deref().unwrap_or("null");
                let text = format!("{topic}/{}/{}@{}", at.partition, at.offset, time.0);
                ctx.send(record.with_value(Val::Str(text)));
            }
            "times" => {
                let (stream, wall) = (ctx.stream_time().0, ctx.wall_clock_time().0);
                let text = format!("rec={},stream={stream},wall={wall}", time.0);
                ctx.send(record.with_value(Val::Str(text)));
            }
            "tsShift" => {
                let time = time.0.wrapping_add(self.argument().parse()?).max(0);
                ctx.send(record.with_timestamp(Timestamp(time)));
            }
            _ => {
                let time = time.0.wrapping_add(self.argument().parse()?);
                if time < 0 {
                    // Java's records refuse it where they are made; here a timestamp is a number.
                    return Err(format!("the record has the negative timestamp {time}").into());
                }
                ctx.send(record.with_timestamp(Timestamp(time)));
            }
        }
        Ok(())
    }

    fn on_store(&self, ctx: &mut impl Around, record: Rec) -> Result<(), ProcessorError> {
        match self.store {
            Store::None => Err("the processor has no store".into()),
            Store::KeyValue(store) => self.on_key_value(ctx, store, record),
            Store::Timestamped(store) => {
                let old = ctx.store(store).get(&record.key)?;
                let new = ValueAndTimestamp::new(record.value.clone(), record.timestamp);
                ctx.store(store).put(&record.key, Some(new))?;
                let text = old.map_or("null".to_owned(), |old| format!("{}@{}", old.value.show(), old.timestamp.0));
                ctx.send(record.with_value(Val::Str(text)));
                Ok(())
            }
            Store::Versioned(store) => {
                let time = record.timestamp;
                let put = ctx.store(store).put(&record.key, Some(record.value.clone()), time)?;
                let code = match put {
                    PutReturn::Latest => -1,
                    PutReturn::Until(next) => next.0,
                    PutReturn::NotPut => i64::MIN,
                };
                let back: i64 = self.argument().parse()?;
                let found = ctx.store(store).get_as_of(&record.key, Timestamp(time.0.wrapping_sub(back)))?;
                // Kafka Streams' store never says until when; Millstream's does.
                let text = found
                    .map_or("null".to_owned(), |found| format!("{}@{}/inf", found.value.show(), found.timestamp.0));
                ctx.send(record.with_value(Val::Str(format!("{code}|{text}"))));
                Ok(())
            }
            Store::Window(store) => {
                let (before, after) = self.argument().split_once(',').unwrap_or_default();
                let (before, after): (i64, i64) = (before.parse()?, after.parse()?);
                let time = record.timestamp;
                ctx.store(store).put(&record.key, Some(record.value.clone()), time)?;
                let (from, to) = (Timestamp(time.0 - before), Timestamp(time.0 + after));
                let mut text = String::new();
                for row in ctx.store(store).fetch_range(&record.key, from, to)? {
                    let (start, value) = row?;
                    text.extend([start.0.to_string(), "=".to_owned(), value.show(), ";".to_owned()]);
                }
                ctx.send(record.with_value(Val::Str(text)));
                Ok(())
            }
        }
    }

    fn on_key_value(
        &self,
        ctx: &mut impl Around,
        store: StoreHandle<KeyValueStore<Val, Val>>,
        record: Rec,
    ) -> Result<(), ProcessorError> {
        let (key, value) = (record.key.clone(), record.value.clone());
        let store = ctx.store(store);
        let result = match name_of(&self.logic.spec) {
            "dedup" => {
                if Val::from(store.get(&key)?) == value {
                    return Ok(());
                }
                store.put(&key, Some(value.clone()))?;
                value
            }
            "counter" => {
                let count = store.get(&key)?.and_then(|count| count.as_i64()).unwrap_or(0);
                let count = Val::I64(count.wrapping_add(1));
                store.put(&key, Some(count.clone()))?;
                count
            }
            "kvput" => {
                let old = Val::from(store.get(&key)?);
                store.put(&key, Some(value.clone()))?;
                Val::Str(format!("{}>{}", old.show(), value.show()))
            }
            "kvdel" => Val::Str(Val::from(store.delete(&key)?).show()),
            "kvabsent" => Val::Str(Val::from(store.put_if_absent(&key, Some(value))?).show()),
            "kvall" => {
                store.put(&key, Some(value))?;
                let mut text = String::new();
                for row in store.all()? {
                    let (key, value) = row?;
                    text.extend([key.show(), "=".to_owned(), value.show(), ";".to_owned()]);
                }
                Val::Str(text)
            }
            _ => {
                store.put(&key, Some(value))?;
                return Ok(());
            }
        };
        ctx.send(record.with_value(result));
        Ok(())
    }
}

fn show_headers(headers: &Headers) -> String {
    let shown = headers.iter().map(|header| {
        let value = header.value.as_ref().map_or("null".into(), |value| String::from_utf8_lossy(value));
        format!("{}={value};", header.key)
    });
    shown.collect()
}
