//! Value functions: (K, V) to R.

use super::{Function, argument, boom, floor_mod, name_of, number, parse_long, prefix, want};
use crate::stop::{Stop, unsupported};
use crate::value::{Type, Val};

pub(crate) fn value(spec: &str, input: &Type) -> Result<Function, Stop> {
    Ok(match name_of(spec) {
        "id" => Function::new(input.clone(), |_, value| value.clone()),
        "nullify" => Function::new(input.clone(), |_, _| Val::Null),
        "show" => Function::lifted(Type::Str, |value| Val::Str(value.show())),
        "showNull" => Function::new(Type::Str, |_, value| Val::Str(value.show())),
        "kv" => Function::new(Type::Str, |key, value| Val::Str(format!("{}:{}", key.show(), value.show()))),
        "kvnn" => Function::new(Type::Str, |key, value| match value {
            Val::Null => Val::Null,
            value => Val::Str(format!("{}:{}", key.show(), value.show())),
        }),
        "hash" => Function::lifted(Type::I64, |value| Val::I64(value.hash() as i64)),
        "const" => {
            let constant = Val::text(argument(spec)?);
            Function::new(Type::Str, move |_, _| constant.clone())
        }
        "constI" => {
            let constant = number(spec)?;
            Function::new(Type::I64, move |_, _| Val::I64(constant))
        }
        "failIf" => {
            let failing = argument(spec)?.to_owned();
            Function::new(
                input.clone(),
                move |_, value| {
                    if value.show() == failing { boom("failIf") } else { value.clone() }
                },
            )
        }
        "boom" => Function::new(input.clone(), |_, _| boom("boom")),
        _ => return of_type(spec, input),
    })
}

/// Functions of one type of value only.
fn of_type(spec: &str, input: &Type) -> Result<Function, Stop> {
    let text = || want(*input == Type::Str, spec);
    let long = || want(*input == Type::I64, spec);
    Ok(match name_of(spec) {
        "orElse" => {
            text()?;
            let other = Val::text(argument(spec)?);
            Function::new(Type::Str, move |_, value| if value.is_null() { other.clone() } else { value.clone() })
        }
        "orElseI" => {
            long()?;
            let other = Val::I64(number(spec)?);
            Function::new(Type::I64, move |_, value| if value.is_null() { other.clone() } else { value.clone() })
        }
        "upper" => {
            text()?;
            of_text(|text| Val::Str(text.to_ascii_uppercase()))
        }
        "append" => {
            text()?;
            let end = argument(spec)?.to_owned();
            of_text(move |text| Val::Str(format!("{text}{end}")))
        }
        "pre" => {
            text()?;
            let count = number(spec)?;
            of_text(move |text| Val::Str(prefix(text, count)))
        }
        "len" => {
            text()?;
            Function { out: Type::I64, ..of_text(|text| Val::I64(text.len() as i64)) }
        }
        "parse" => {
            text()?;
            Function { out: Type::I64, ..of_text(parse_long) }
        }
        "shortNull" => {
            text()?;
            let least = number(spec)?;
            of_text(move |text| if (text.len() as i64) < least { Val::Null } else { Val::text(text) })
        }
        "toBytes" => {
            text()?;
            Function { out: Type::Bytes, ..of_text(|text| Val::Bytes(text.as_bytes().to_vec())) }
        }
        _ => return of_number(spec, input),
    })
}

fn of_number(spec: &str, input: &Type) -> Result<Function, Stop> {
    let long = || want(*input == Type::I64, spec);
    let double = || want(*input == Type::F64, spec);
    Ok(match name_of(spec) {
        "inc" => {
            long()?;
            let by = number(spec)?;
            of_long(Type::I64, move |long| Val::I64(long.wrapping_add(by)))
        }
        "mul" => {
            long()?;
            let by = number(spec)?;
            of_long(Type::I64, move |long| Val::I64(long.wrapping_mul(by)))
        }
        "mod" => {
            long()?;
            let modulus = number(spec)?;
            of_long(Type::I64, move |long| Val::I64(floor_mod(long, modulus)))
        }
        "oddNull" => {
            long()?;
            of_long(Type::I64, |long| if long & 1 == 0 { Val::I64(long) } else { Val::Null })
        }
        "toF64" => {
            long()?;
            of_long(Type::F64, |long| Val::F64(long as f64))
        }
        "toI32" => {
            long()?;
            of_long(Type::I32, |long| Val::I32(long as i32))
        }
        "half" => {
            double()?;
            of_double(Type::F64, |double| Val::F64(double * 0.5))
        }
        "trunc" => {
            double()?;
            of_double(Type::I64, |double| Val::I64(double as i64))
        }
        "toI64" => {
            want(*input == Type::I32, spec)?;
            Function::lifted(Type::I64, |value| match value {
                Val::I32(number) => Val::I64(i64::from(*number)),
                _ => Val::Null,
            })
        }
        _ => return Err(unsupported(format!("value function {spec}"))),
    })
}

fn of_text(apply: impl Fn(&str) -> Val + Send + Sync + 'static) -> Function {
    Function::lifted(Type::Str, move |value| value.as_str().map_or(Val::Null, &apply))
}

fn of_long(out: Type, apply: impl Fn(i64) -> Val + Send + Sync + 'static) -> Function {
    Function::lifted(out, move |value| value.as_i64().map_or(Val::Null, &apply))
}

fn of_double(out: Type, apply: impl Fn(f64) -> Val + Send + Sync + 'static) -> Function {
    Function::lifted(out, move |value| match value {
        Val::F64(number) => apply(*number),
        _ => Val::Null,
    })
}
