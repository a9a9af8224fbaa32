//! Key functions: (K, V) to K'.

use super::{Function, argument, boom, floor_mod, name_of, number, parse_long, prefix, want};
use crate::stop::{Stop, unsupported};
use crate::value::{Type, Val};

pub(crate) fn key(spec: &str, key: &Type, value: &Type) -> Result<Function, Stop> {
    let long = || want(*value == Type::I64, spec);
    let text = || want(*value == Type::Str, spec);
    Ok(match name_of(spec) {
        "key" => Function::new(key.clone(), |key, _| key.clone()),
        "val" => Function::new(value.clone(), |_, value| value.clone()),
        "kshow" => of_key(Type::Str, |key| Val::Str(key.show())),
        "vshow" => Function::lifted(Type::Str, |value| Val::Str(value.show())),
        "kpre" => {
            let count = number(spec)?;
            of_key(Type::Str, move |key| Val::Str(prefix(&key.show(), count)))
        }
        "vpre" => {
            let count = number(spec)?;
            Function::lifted(Type::Str, move |value| Val::Str(prefix(&value.show(), count)))
        }
        "vmod" => {
            long()?;
            let modulus = number(spec)?;
            Function::lifted(Type::I64, move |value| {
                value.as_i64().map_or(Val::Null, |long| Val::I64(floor_mod(long, modulus)))
            })
        }
        "vmodS" => {
            long()?;
            let modulus = number(spec)?;
            Function::lifted(Type::Str, move |value| {
                value.as_i64().map_or(Val::Null, |long| Val::Str(format!("g{}", floor_mod(long, modulus))))
            })
        }
        "vlen" => {
            text()?;
            Function::lifted(Type::I64, |value| value.as_str().map_or(Val::Null, |text| Val::I64(text.len() as i64)))
        }
        "vparse" => {
            text()?;
            Function::lifted(Type::I64, |value| value.as_str().map_or(Val::Null, parse_long))
        }
        "const" => {
            let constant = Val::text(argument(spec)?);
            Function::new(Type::Str, move |_, _| constant.clone())
        }
        "knull" => Function::new(key.clone(), |_, _| Val::Null),
        "unwin" => {
            let (Type::Time(inner, _) | Type::Session(inner)) = key else {
                want(false, spec)?;
                return Err(unsupported(spec));
            };
            of_key((**inner).clone(), |key| match key {
                Val::Win(inner, ..) => (**inner).clone(),
                _ => Val::Null,
            })
        }
        "wstart" => {
            want(key.is_windowed(), spec)?;
            of_key(Type::I64, |key| match key {
                Val::Win(_, start, _) => Val::I64(*start),
                _ => Val::Null,
            })
        }
        "kboom" => Function::new(key.clone(), |_, _| boom("kboom")),
        _ => return Err(unsupported(format!("key function {spec}"))),
    })
}

/// A function of a key that is there; a null stays null.
fn of_key(out: Type, apply: impl Fn(&Val) -> Val + Send + Sync + 'static) -> Function {
    Function::new(out, move |key, _| if key.is_null() { Val::Null } else { apply(key) })
}
