//! The left side: updates of rows become subscriptions of the rows they refer to.

use std::sync::Arc;

use millstream_types::{Record, Serde};

use super::wire::{Instruction, Subscription};
use super::{hash_of, unwritable};
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};
use crate::operator::change::Change;
use crate::operator::join_kind::JoinKind;
use crate::operator::same_key::SameKey;

/// What the operator is told when the topology is built.
pub(crate) struct SubscriptionSendSpec<K, V, KO> {
    /// The foreign key of a left row, never null by its serde.
    pub(crate) extract: Arc<dyn Fn(&K, &V) -> Option<KO> + Send + Sync>,
    pub(crate) value: Serde<V>,
    pub(crate) foreign_key: Serde<KO>,
    pub(crate) kind: JoinKind,
    /// The table is versioned, and the join holds its newest rows only.
    pub(crate) skips_late: bool,
}

impl<K, V, KO> Clone for SubscriptionSendSpec<K, V, KO> {
    fn clone(&self) -> Self {
        Self {
            extract: Arc::clone(&self.extract),
            value: self.value.clone(),
            foreign_key: self.foreign_key.clone(),
            kind: self.kind,
            skips_late: self.skips_late,
        }
    }
}

/// `KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION`.
struct SubscriptionSend<K, V, KO> {
    spec: SubscriptionSendSpec<K, V, KO>,
    keys: SameKey<KO>,
    value_bytes: Vec<u8>,
}

pub(crate) fn subscription_send<K, V, KO>(spec: SubscriptionSendSpec<K, V, KO>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    KO: Clone + Send + 'static,
{
    NodeFactory::processor(move || SubscriptionSend {
        keys: SameKey::new(spec.foreign_key.clone()),
        spec: spec.clone(),
        value_bytes: Vec::new(),
    })
}

impl<K, V, KO> SubscriptionSend<K, V, KO> {
    fn is_same_key(&mut self, old: &KO, new: Option<&KO>) -> Result<bool, ProcessorError> {
        let Some(new) = new else { return Ok(false) };
        Ok(self.keys.is_same(old, new).map_err(|error| unwritable("foreign key", error))?)
    }

    /// What to tell whom, in this order.
    fn decide(&mut self, old: Option<KO>, new: Option<KO>) -> Result<Asked<KO>, ProcessorError> {
        let is_same = old.as_ref().map(|old| self.is_same_key(old, new.as_ref())).transpose()?;
        if self.spec.kind != JoinKind::Inner {
            // Every update gets an answer. One without foreign key is answered by whoever gets it.
            let forgotten = old.filter(|_| is_same == Some(false)).map(|old| (Some(old), Instruction::Delete));
            return Ok([forgotten, Some((new, Instruction::Answer))]);
        }
        Ok(match (old, new, is_same) {
            (Some(old), None, _) => [Some((Some(old), Instruction::DeleteAndAnswer)), None],
            (Some(old), new, Some(false)) => [Some((Some(old), Instruction::Delete)), Some((new, Instruction::Answer))],
            (_, Some(new), _) => [Some((Some(new), Instruction::AnswerIfPresent)), None],
            (None, None, _) => [None, None],
        })
    }
}

/// At most two subscriptions, by foreign key.
type Asked<KO> = [Option<(Option<KO>, Instruction)>; 2];

impl<K, V, KO> Processor for SubscriptionSend<K, V, KO>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    KO: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<V>;
    type KeyOut = Option<KO>;
    type ValueOut = Subscription<K>;

    fn process(
        &mut self,
        ctx: &mut Context<'_, Option<KO>, Subscription<K>>,
        record: Incoming<'_, K, Change<V>>,
    ) -> Result<(), ProcessorError> {
        let change = &record.value;
        if self.spec.skips_late && !change.is_latest {
            ctx.drop_record("an update older than its row is left out of the join");
            return Ok(());
        }
        if change.new.is_none() && change.old.is_none() {
            return Ok(());
        }
        let extract = |value: &Option<V>| value.as_ref().and_then(|value| (self.spec.extract)(&record.key, value));
        let (old, new) = (extract(&change.old), extract(&change.new));
        if change.new.is_some() && new.is_none() && self.spec.kind == JoinKind::Inner {
            ctx.drop_record("a row without foreign key is left out of the join");
        }
        let asked = self.decide(old, new)?;
        if asked.iter().all(Option::is_none) {
            return Ok(());
        }
        let hash = hash_of(&self.spec.value, record.value.new.as_ref(), &mut self.value_bytes)?;
        let partition = Some(ctx.record_metadata().partition.0).filter(|partition| *partition >= 0);
        let (primary_key, _, rest) = record.into_record().into_parts();
        let send = |ctx: &mut Context<'_, _, _>, rest: Record<(), ()>, primary_key, (key, instruction)| {
            let subscription = Subscription { hash, instruction, primary_key, partition };
            ctx.forward(rest.with_key(key).with_value(subscription));
        };
        match asked {
            [Some(first), Some(second)] => {
                send(ctx, rest.clone(), primary_key.clone(), first);
                send(ctx, rest, primary_key, second);
            }
            [Some(one), None] | [None, Some(one)] => send(ctx, rest, primary_key, one),
            [None, None] => {}
        }
        Ok(())
    }
}
