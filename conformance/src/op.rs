//! Reading the fields of an operator of a case.

use serde_json::Value as Json;

use crate::stop::{Stop, bad};

/// One operator.
#[derive(Clone, Copy)]
pub(crate) struct Op<'a>(pub(crate) &'a Json);

impl<'a> Op<'a> {
    pub(crate) fn field(self, name: &str) -> Option<&'a Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.field(name).is_some()
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str, Stop> {
        self.optional(name).ok_or_else(|| bad(format!("field {name} of {}", self.0)))
    }

    pub(crate) fn optional(self, name: &str) -> Option<&'a str> {
        self.field(name).and_then(Json::as_str)
    }

    pub(crate) fn number(self, name: &str, otherwise: i64) -> i64 {
        self.field(name).and_then(Json::as_i64).unwrap_or(otherwise)
    }

    pub(crate) fn flag(self, name: &str) -> Option<bool> {
        self.field(name).and_then(Json::as_bool)
    }

    pub(crate) fn list(self, name: &str) -> Vec<&'a str> {
        self.items(name).iter().filter_map(Json::as_str).collect()
    }

    pub(crate) fn items(self, name: &str) -> &'a [Json] {
        self.field(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
    }
}
