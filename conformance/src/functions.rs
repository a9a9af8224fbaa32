//! The function catalogue: a function is written `name` or `name:argument`.

mod aggregates;
mod keys;
mod predicates;
mod values;

use std::sync::Arc;

use crate::stop::{Stop, bad};
use crate::value::{Type, Val};

pub(crate) use aggregates::{Aggregate, Join, aggregate, join, reducer};
pub(crate) use keys::key;
pub(crate) use predicates::{expansion, predicate};
pub(crate) use values::value;

pub(crate) type Of2<R> = Arc<dyn Fn(&Val, &Val) -> R + Send + Sync>;
pub(crate) type Of3<R> = Arc<dyn Fn(&Val, &Val, &Val) -> R + Send + Sync>;

/// A function of key and value, and the type it gives.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) out: Type,
    pub(crate) apply: Of2<Val>,
}

impl Function {
    fn new(out: Type, apply: impl Fn(&Val, &Val) -> Val + Send + Sync + 'static) -> Self {
        Self { out, apply: Arc::new(apply) }
    }

    /// A function of a value that is there; a null stays null.
    fn lifted(out: Type, apply: impl Fn(&Val) -> Val + Send + Sync + 'static) -> Self {
        Self::new(out, move |_, value| if value.is_null() { Val::Null } else { apply(value) })
    }
}

/// The runner's own error, for functions that throw.
pub(crate) const BOOM: &str = "Boom";

/// Throws, as user code would.
#[expect(clippy::panic, reason = "stands for user code that panics")]
pub(crate) fn boom(what: &str) -> ! {
    panic!("{BOOM}: {what}")
}

pub(crate) fn name_of(spec: &str) -> &str {
    spec.split_once(':').map_or(spec, |(name, _)| name)
}

pub(crate) fn argument(spec: &str) -> Result<&str, Stop> {
    spec.split_once(':').map(|(_, argument)| argument).ok_or_else(|| bad(format!("function {spec} needs an argument")))
}

pub(crate) fn number(spec: &str) -> Result<i64, Stop> {
    parsed(argument(spec)?, spec)
}

pub(crate) fn parsed<T: std::str::FromStr>(text: &str, spec: &str) -> Result<T, Stop> {
    text.parse().map_err(|_| bad(format!("function {spec} needs a number")))
}

pub(crate) fn want(holds: bool, spec: &str) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(bad(format!("function {spec} does not apply here"))) }
}

/// The first code points of a text.
fn prefix(text: &str, count: i64) -> String {
    text.chars().take(usize::try_from(count).unwrap_or(0)).collect()
}

/// `-?[0-9]{1,18}`, the whole text.
pub(crate) fn parse_long(text: &str) -> Val {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().map_or(Val::Null, Val::I64) } else { Val::Null }
}

fn floor_mod(number: i64, modulus: i64) -> i64 {
    // Java's floorMod: the sign of the modulus.
    let rest = number.wrapping_rem(modulus);
    if rest != 0 && (rest < 0) != (modulus < 0) { rest + modulus } else { rest }
}
