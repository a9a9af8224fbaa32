//! Joiners, reducers and aggregates.

use std::sync::Arc;

use super::{Of2, Of3, argument, boom, name_of, want};
use crate::stop::{Stop, unsupported};
use crate::value::{Type, Val};

/// A joiner (K, L, R) and the type it gives.
pub(crate) struct Join {
    pub(crate) out: Type,
    pub(crate) apply: Of3<Val>,
}

pub(crate) fn join(spec: &str, left: &Type, right: &Type) -> Result<Join, Stop> {
    let join = |out: Type, apply: Of3<Val>| Ok(Join { out, apply });
    match name_of(spec) {
        "cat" => join(Type::Str, Arc::new(|_, left, right| cat(left, right))),
        "kcat" => join(
            Type::Str,
            Arc::new(|key, left, right| Val::Str(format!("{}:{}+{}", key.show(), left.show(), right.show()))),
        ),
        "left" => join(left.clone(), Arc::new(|_, left, _| left.clone())),
        "right" => join(right.clone(), Arc::new(|_, _, right| right.clone())),
        "sum" => {
            want(*left == Type::I64 && *right == Type::I64, spec)?;
            join(Type::I64, Arc::new(|_, left, right| Val::I64(long(left).wrapping_add(long(right)))))
        }
        "eqNull" => join(
            Type::Str,
            Arc::new(|_, left, right| if left.show() == right.show() { Val::Null } else { cat(left, right) }),
        ),
        "null" => join(Type::Str, Arc::new(|_, _, _| Val::Null)),
        "boom" => join(Type::Str, Arc::new(|_, _, _| boom("boom"))),
        _ => Err(unsupported(format!("joiner {spec}"))),
    }
}

fn cat(left: &Val, right: &Val) -> Val {
    Val::Str(format!("{}+{}", left.show(), right.show()))
}

/// A null counts as 0.
fn long(value: &Val) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// A null counts as empty.
fn text(value: &Val) -> &str {
    value.as_str().unwrap_or_default()
}

/// 0 becomes null, which deletes.
fn zero_null(number: i64) -> Val {
    if number == 0 { Val::Null } else { Val::I64(number) }
}

fn without(text: &str, part: &str) -> Val {
    Val::Str(text.replacen(part, "", 1))
}

fn either(one: &Val, two: &Val, choose: impl Fn(i64, i64) -> i64) -> Val {
    match (one.as_i64(), two.as_i64()) {
        (None, _) => two.clone(),
        (_, None) => one.clone(),
        (Some(one), Some(two)) => Val::I64(choose(one, two)),
    }
}

/// A reducer or subtractor: aggregate and new value.
pub(crate) fn reducer(spec: &str, value: &Type) -> Result<Of2<Val>, Stop> {
    let is_long = || want(*value == Type::I64, spec);
    let is_text = || want(*value == Type::Str, spec);
    Ok(match name_of(spec) {
        "last" => Arc::new(|_, new| new.clone()),
        "first" => Arc::new(|old, _| old.clone()),
        "sum" => {
            is_long()?;
            Arc::new(|old, new| Val::I64(long(old).wrapping_add(long(new))))
        }
        "sub" => {
            is_long()?;
            Arc::new(|old, new| Val::I64(long(old).wrapping_sub(long(new))))
        }
        "max" => {
            is_long()?;
            Arc::new(|old, new| either(old, new, i64::max))
        }
        "min" => {
            is_long()?;
            Arc::new(|old, new| either(old, new, i64::min))
        }
        "sumZeroNull" => {
            is_long()?;
            Arc::new(|old, new| zero_null(long(old).wrapping_add(long(new))))
        }
        "concat" => {
            is_text()?;
            Arc::new(|old, new| Val::Str(format!("{}|{}", text(old), text(new))))
        }
        "unconcat" => {
            is_text()?;
            Arc::new(|old, new| without(text(old), &format!("|{}", text(new))))
        }
        "boom" => Arc::new(|_, _| boom("boom")),
        _ => return Err(unsupported(format!("reducer {spec}"))),
    })
}

/// An aggregate: its start, and how values (key, value, aggregate) go in and out.
#[derive(Clone)]
pub(crate) struct Aggregate {
    pub(crate) out: Type,
    pub(crate) initial: Val,
    pub(crate) add: Of3<Val>,
    pub(crate) subtract: Of3<Val>,
    /// Makes one aggregate of two sessions' (key, aggregate, other).
    pub(crate) merge: Of3<Val>,
}

pub(crate) fn aggregate(spec: &str, value: &Type) -> Result<Aggregate, Stop> {
    let is_long = || want(*value == Type::I64, spec);
    let both: Of3<Val> = Arc::new(|_, one, two| Val::I64(long(one).wrapping_add(long(two))));
    let joined: Of3<Val> = Arc::new(|_, one, two| Val::Str(format!("{}{}", text(one), text(two))));
    let longs = |initial: Val, add: Of3<Val>, subtract: Of3<Val>| Aggregate {
        out: Type::I64,
        initial,
        add,
        subtract,
        merge: both,
    };
    let texts = |initial: &str, add: Of3<Val>, subtract: Of3<Val>| Aggregate {
        out: Type::Str,
        initial: Val::text(initial),
        add,
        subtract,
        merge: joined,
    };
    let less_one: Of3<Val> = Arc::new(|_, _, all| Val::I64(long(all).wrapping_sub(1)));
    Ok(match name_of(spec) {
        "sum" => {
            is_long()?;
            let add: Of3<Val> = Arc::new(|_, value, all| Val::I64(long(all).wrapping_add(long(value))));
            longs(Val::I64(0), add, Arc::new(|_, value, all| Val::I64(long(all).wrapping_sub(long(value)))))
        }
        "count" => longs(Val::I64(0), Arc::new(|_, _, all| Val::I64(long(all).wrapping_add(1))), less_one),
        "boomIf" => {
            let failing = argument(spec)?.to_owned();
            let add = move |_: &Val, value: &Val, all: &Val| {
                if value.show() == failing { boom("boomIf") } else { Val::I64(long(all).wrapping_add(1)) }
            };
            longs(Val::I64(0), Arc::new(add), less_one)
        }
        "sumZeroNull" => {
            is_long()?;
            let add: Of3<Val> = Arc::new(|_, value, all| zero_null(long(all).wrapping_add(long(value))));
            let subtract: Of3<Val> = Arc::new(|_, value, all| zero_null(long(all).wrapping_sub(long(value))));
            let merge: Of3<Val> = Arc::new(|_, one, two| zero_null(long(one).wrapping_add(long(two))));
            Aggregate { merge, ..longs(Val::I64(0), add, subtract) }
        }
        "max" => {
            is_long()?;
            let add: Of3<Val> = Arc::new(|_, value, all| either(all, value, i64::max));
            let merge: Of3<Val> = Arc::new(|_, one, two| either(one, two, i64::max));
            Aggregate { merge, ..longs(Val::Null, add, Arc::new(|_, _, all| all.clone())) }
        }
        "last" => {
            let add: Of3<Val> = Arc::new(|_, value, _| Val::Str(value.show()));
            let merge: Of3<Val> = Arc::new(|_, _, two| two.clone());
            Aggregate { merge, ..texts("-", add, Arc::new(|_, _, all| all.clone())) }
        }
        "cat" => texts(
            "",
            Arc::new(|_, value, all| Val::Str(format!("{}{},", text(all), value.show()))),
            Arc::new(|_, value, all| without(text(all), &format!("{},", value.show()))),
        ),
        "kcat" => texts(
            "",
            Arc::new(|key, value, all| Val::Str(format!("{}{}={},", text(all), key.show(), value.show()))),
            Arc::new(|key, value, all| without(text(all), &format!("{}={},", key.show(), value.show()))),
        ),
        _ => return Err(unsupported(format!("aggregate {spec}"))),
    })
}
