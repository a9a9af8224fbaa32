//! Operators that look at one record and keep nothing: each is a closure over record and context.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

/// A processor that is one function.
struct Stateless<KI, VI, KO, VO, F> {
    function: Arc<F>,
    types: PhantomData<fn(KI, VI) -> (KO, VO)>,
}

impl<KI, VI, KO, VO, F> Processor for Stateless<KI, VI, KO, VO, F>
where
    KI: Clone + Send + 'static,
    VI: Clone + Send + 'static,
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    F: Fn(&mut Context<'_, KO, VO>, Incoming<'_, KI, VI>) -> Result<(), ProcessorError> + Send + Sync + 'static,
{
    type KeyIn = KI;
    type ValueIn = VI;
    type KeyOut = KO;
    type ValueOut = VO;

    fn process(&mut self, ctx: &mut Context<'_, KO, VO>, record: Incoming<'_, KI, VI>) -> Result<(), ProcessorError> {
        (self.function)(ctx, record)
    }
}

/// A factory for one function.
pub(crate) fn stateless<KI, VI, KO, VO, F>(function: F) -> NodeFactory
where
    KI: Clone + Send + 'static,
    VI: Clone + Send + 'static,
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    F: Fn(&mut Context<'_, KO, VO>, Incoming<'_, KI, VI>) -> Result<(), ProcessorError> + Send + Sync + 'static,
{
    let function = Arc::new(function);
    NodeFactory::processor(move || Stateless { function: Arc::clone(&function), types: PhantomData })
}

pub(crate) fn filter<K, V>(
    predicate: impl Fn(&K, &V) -> Result<bool, ProcessorError> + Send + Sync + 'static,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    stateless(move |ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
        if predicate(&record.key, &record.value)? {
            ctx.forward_incoming(record);
        }
        Ok(())
    })
}

pub(crate) fn map<K, V, K2, V2>(
    mapper: impl Fn(K, V) -> Result<(K2, V2), ProcessorError> + Send + Sync + 'static,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    K2: Clone + Send + 'static,
    V2: Clone + Send + 'static,
{
    stateless(move |ctx: &mut Context<'_, K2, V2>, record: Incoming<'_, K, V>| {
        let (key, value, rest) = record.into_record().into_parts();
        let (key, value) = mapper(key, value)?;
        ctx.forward(rest.with_key(key).with_value(value));
        Ok(())
    })
}

pub(crate) fn map_values<K, V, V2>(
    mapper: impl Fn(&K, V) -> Result<V2, ProcessorError> + Send + Sync + 'static,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    V2: Clone + Send + 'static,
{
    stateless(move |ctx: &mut Context<'_, K, V2>, record: Incoming<'_, K, V>| {
        let (key, value, rest) = record.into_record().into_parts();
        let value = mapper(&key, value)?;
        ctx.forward(rest.with_key(key).with_value(value));
        Ok(())
    })
}

pub(crate) fn flat_map<K, V, K2, V2, I>(
    mapper: impl Fn(K, V) -> Result<I, ProcessorError> + Send + Sync + 'static,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    K2: Clone + Send + 'static,
    V2: Clone + Send + 'static,
    I: IntoIterator<Item = (K2, V2)>,
{
    stateless(move |ctx: &mut Context<'_, K2, V2>, record: Incoming<'_, K, V>| {
        let (key, value, rest) = record.into_record().into_parts();
        for (key, value) in mapper(key, value)? {
            ctx.forward(rest.clone().with_key(key).with_value(value));
        }
        Ok(())
    })
}

pub(crate) fn flat_map_values<K, V, V2, I>(
    mapper: impl Fn(&K, V) -> Result<I, ProcessorError> + Send + Sync + 'static,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    V2: Clone + Send + 'static,
    I: IntoIterator<Item = V2>,
{
    stateless(move |ctx: &mut Context<'_, K, V2>, record: Incoming<'_, K, V>| {
        let (key, value, rest) = record.into_record().into_parts();
        for value in mapper(&key, value)? {
            ctx.forward(rest.clone().with_key(key.clone()).with_value(value));
        }
        Ok(())
    })
}

pub(crate) fn select_key<K, V, K2>(
    mapper: impl Fn(&K, &V) -> Result<K2, ProcessorError> + Send + Sync + 'static,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    K2: Clone + Send + 'static,
{
    stateless(move |ctx: &mut Context<'_, K2, V>, record: Incoming<'_, K, V>| {
        let key = mapper(&record.key, &record.value)?;
        ctx.forward(record.into_record().with_key(key));
        Ok(())
    })
}

pub(crate) fn peek<K, V>(action: impl Fn(&K, &V) + Send + Sync + 'static) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    stateless(move |ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
        action(&record.key, &record.value);
        ctx.forward_incoming(record);
        Ok(())
    })
}

pub(crate) fn for_each<K, V>(action: impl Fn(&K, &V) + Send + Sync + 'static) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    stateless(move |_: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
        action(&record.key, &record.value);
        Ok(())
    })
}

pub(crate) fn pass<K, V>() -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    stateless(|ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
        ctx.forward_incoming(record);
        Ok(())
    })
}

/// Forwards each record to the child of the first predicate that holds: children stand in the
/// order of the branches. A default branch is a predicate that always holds.
pub(crate) fn branch<K, V>(predicates: Vec<BranchPredicate<K, V>>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    stateless(move |ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
        if let Some(position) = predicates.iter().position(|predicate| predicate(&record.key, &record.value)) {
            ctx.forward_to_position(position, record);
        }
        Ok(())
    })
}

/// Whether a record belongs to a branch.
pub(crate) type BranchPredicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;
