//! The fields of an object of the engine, which are removed one by one, so that the remaining ones
//! can be reported.

use serde_json::{Map, Value};

pub(super) struct Fields<'a> {
    at: String,
    left: Map<String, Value>,
    lost: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    /// The fields of a value with this path; empty if it is not an object.
    pub(super) fn of(value: Option<Value>, at: &str, lost: &'a mut Vec<String>) -> Self {
        let left = match value {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self { at: at.to_owned(), left, lost }
    }

    /// Removes a field with a value.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !is_empty(value))
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name)?.as_str().map(str::to_owned)
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Map<String, Value> {
        match self.take(name) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// Removes a field, and returns its own fields.
    pub(super) fn inner(&mut self, name: &str) -> Fields<'_> {
        let value = self.left.remove(name);
        Fields::of(value, &format!("{}.{name}", self.at), self.lost)
    }

    /// Moves fields to other names, with converted values.
    pub(super) fn map(&mut self, names: &[Renamed], into: &mut Map<String, Value>) {
        for (from, to, change) in names {
            if let Some(value) = self.take(from) {
                into.insert((*to).to_owned(), change(&value));
            }
        }
    }

    /// The fields of an element of a list.
    pub(super) fn about(&mut self, value: Value, name: &str) -> Fields<'_> {
        Fields::of(Some(value), &format!("{}.{name}", self.at), self.lost)
    }

    /// A field, which is not removed.
    pub(super) fn look(&self, name: &str) -> &Value {
        self.left.get(name).unwrap_or(&Value::Null)
    }

    /// Whether a field exists, with any value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Reports a field as unsupported.
    pub(super) fn note(&mut self, name: &str) {
        self.lost.push(format!("{}.{name}", self.at));
    }

    /// Discards fields that a deployment sets again.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        names.iter().for_each(|name| drop(self.left.remove(*name)));
    }

    /// Reports the remaining fields.
    pub(super) fn end(self) {
        let left = self.left.into_iter().filter(|(_, value)| !says_nothing(value));
        self.lost.extend(left.map(|(name, _)| format!("{}.{name}", self.at)));
    }
}

/// Name of a field, key in a compose file, and conversion of its value.
pub(super) type Renamed = (&'static str, &'static str, fn(&Value) -> Value);

/// `0` and `false` are not empty, since the default may be another value.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// Whether the value is a default that need not be reported.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(is_on) => !is_on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        value => is_empty(value),
    }
}
