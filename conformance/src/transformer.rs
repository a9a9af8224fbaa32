//! The transformers of the catalogue, on Millstream's `ValueTransformer`.

use std::marker::PhantomData;

use millstream_state::KeyValueStore;
use millstream_topology::{ProcessorError, StoreHandle, StoreScope, ValueTransformer};

use crate::functions::want;
use crate::stop::{Stop, unsupported};
use crate::value::{Shown, Val};

/// What a transformer does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Shows key and value; no value stays none.
    KeyAndValue,
    /// Shows key and value, a value that is not there, too.
    Null,
    /// Counts its calls by key.
    Count,
}

pub(crate) struct Transformer<K, V> {
    does: Does,
    name: Option<String>,
    store: Option<StoreHandle<KeyValueStore<Val, Val>>>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V> Transformer<K, V> {
    /// Makes the transformers called `spec`, over a store if they need one.
    pub(crate) fn supplier(
        spec: &str,
        store: Option<&str>,
    ) -> Result<impl Fn() -> Self + Send + Sync + use<K, V>, Stop> {
        let does = match spec {
            "tvkv" => Does::KeyAndValue,
            "tvnull" => Does::Null,
            "tvcount" => Does::Count,
            _ => return Err(unsupported(format!("transformer {spec}"))),
        };
        let name = store.filter(|_| does == Does::Count).map(str::to_owned);
        want(does != Does::Count || name.is_some(), spec)?;
        Ok(move || Self { does, name: name.clone(), store: None, types: PhantomData })
    }
}

impl<K, V> ValueTransformer for Transformer<K, V>
where
    K: Shown,
    V: Shown,
{
    type Key = K;
    type ValueIn = V;
    type ValueOut = Val;

    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<(), ProcessorError> {
        if let Some(name) = &self.name {
            self.store = Some(scope.store_handle(name)?);
        }
        Ok(())
    }

    fn transform(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &K,
        value: Option<&V>,
    ) -> Result<Option<Val>, ProcessorError> {
        let (key, value) = (key.val(), value.map_or(Val::Null, Shown::val));
        if let Some(handle) = self.store {
            let store = scope.store(handle);
            let calls = store.get(&key)?.and_then(|calls| calls.as_i64()).unwrap_or(0) + 1;
            store.put(&key, Some(Val::I64(calls)))?;
            return Ok((!value.is_null()).then(|| Val::Str(format!("{}#{calls}", value.show()))));
        }
        if value.is_null() && self.does == Does::KeyAndValue {
            return Ok(None);
        }
        Ok(Some(Val::Str(format!("{}:{}", key.show(), value.show()))))
    }
}
