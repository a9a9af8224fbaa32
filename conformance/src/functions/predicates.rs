//! Predicates, and the expansions of `flatMapValues`.

use std::sync::Arc;

use super::{Of2, argument, boom, floor_mod, name_of, number, parsed, want};
use crate::stop::{Stop, bad, unsupported};
use crate::value::{Type, Val};

pub(crate) fn predicate(spec: &str, value: &Type) -> Result<Of2<bool>, Stop> {
    let long = || want(*value == Type::I64, spec);
    Ok(match name_of(spec) {
        "true" => Arc::new(|_, _| true),
        "false" => Arc::new(|_, _| false),
        "vnull" => Arc::new(|_, value| value.is_null()),
        "vnotnull" => Arc::new(|_, value| !value.is_null()),
        "knull" => Arc::new(|key, _| key.is_null()),
        "knotnull" => Arc::new(|key, _| !key.is_null()),
        "even" => {
            long()?;
            Arc::new(|_, value| value.as_i64().is_some_and(|long| long & 1 == 0))
        }
        "gt" => {
            long()?;
            let least = number(spec)?;
            Arc::new(move |_, value| value.as_i64().is_some_and(|long| long > least))
        }
        "lenGt" => {
            let least = number(spec)?;
            Arc::new(move |_, value| !value.is_null() && value.show().len() as i64 > least)
        }
        "contains" => {
            let part = argument(spec)?.to_owned();
            Arc::new(move |_, value| !value.is_null() && value.show().contains(&part))
        }
        "kEq" => {
            let text = argument(spec)?.to_owned();
            Arc::new(move |key, _| !key.is_null() && key.show() == text)
        }
        "vEq" => {
            let text = argument(spec)?.to_owned();
            Arc::new(move |_, value| !value.is_null() && value.show() == text)
        }
        "kHash" => {
            let (modulus, rest) = two(spec)?;
            Arc::new(move |key, _| key.hash() % modulus == rest)
        }
        "vHash" => {
            let (modulus, rest) = two(spec)?;
            Arc::new(move |_, value| value.hash() % modulus == rest)
        }
        "failIf" => {
            let failing = argument(spec)?.to_owned();
            Arc::new(move |_, value| if value.show() == failing { boom("failIf") } else { true })
        }
        _ => return Err(unsupported(format!("predicate {spec}"))),
    })
}

fn two(spec: &str) -> Result<(u64, u64), Stop> {
    let parts = argument(spec)?.split_once(',');
    let (modulus, rest) = parts.ok_or_else(|| bad(format!("function {spec} needs two numbers")))?;
    let modulus = parsed(modulus, spec)?;
    want(modulus != 0, spec)?;
    Ok((modulus, parsed(rest, spec)?))
}

/// The type and the values of an expansion.
pub(crate) type Expansion = (Type, Arc<dyn Fn(&Val) -> Vec<Val> + Send + Sync>);

pub(crate) fn expansion(spec: &str, value: &Type) -> Result<Expansion, Stop> {
    Ok(match name_of(spec) {
        "words" => {
            want(*value == Type::Str, spec)?;
            let words = |value: &Val| {
                let words = value.as_str().unwrap_or_default().split(' ').filter(|word| !word.is_empty());
                words.map(Val::text).collect()
            };
            (Type::Str, Arc::new(words))
        }
        "chars" => {
            want(*value == Type::Str, spec)?;
            let chars = |value: &Val| value.as_str().unwrap_or_default().chars().map(Val::text).collect();
            (Type::Str, Arc::new(chars))
        }
        "dup" => {
            let count = usize::try_from(number(spec)?).unwrap_or(0);
            (value.clone(), Arc::new(move |value| vec![value.clone(); count]))
        }
        "upto" => {
            want(*value == Type::I64, spec)?;
            let modulus = number(spec)?;
            let upto = move |value: &Val| {
                let end = value.as_i64().map_or(0, |long| floor_mod(long, modulus));
                (0..end).map(Val::I64).collect()
            };
            (Type::I64, Arc::new(upto))
        }
        _ => return Err(unsupported(format!("expansion {spec}"))),
    })
}
