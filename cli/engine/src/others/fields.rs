//! The fields of what the engine shows, taken one by one, so that what nobody takes is noticed.

use serde_json::{Map, Value};

/// The fields of one object.
pub(super) struct Fields<'a> {
    at: String,
    left: Map<String, Value>,
    lost: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    /// Those of a value that is called so; none where it is no object.
    pub(super) fn of(value: Option<Value>, at: &str, lost: &'a mut Vec<String>) -> Self {
        let left = match value {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self { at: at.to_owned(), left, lost }
    }

    /// Takes a field that says something.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !is_empty(value))
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name)?.as_str().map(str::to_owned)
    }

    /// Takes a list.
    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        }
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str) -> Map<String, Value> {
        match self.take(name) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// Takes the fields of a field.
    pub(super) fn inner(&mut self, name: &str) -> Fields<'_> {
        let value = self.left.remove(name);
        Fields::of(value, &format!("{}.{name}", self.at), self.lost)
    }

    /// Takes fields under other names, each changed.
    pub(super) fn map(&mut self, names: &[Renamed], into: &mut Map<String, Value>) {
        for (from, to, change) in names {
            if let Some(value) = self.take(from) {
                into.insert((*to).to_owned(), change(&value));
            }
        }
    }

    /// The fields of a value of this one's lists.
    pub(super) fn about(&mut self, value: Value, name: &str) -> Fields<'_> {
        Fields::of(Some(value), &format!("{}.{name}", self.at), self.lost)
    }

    /// A field, which stays.
    pub(super) fn look(&self, name: &str) -> &Value {
        self.left.get(name).unwrap_or(&Value::Null)
    }

    /// Whether a field is there, whatever it says.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Notes that a field is not written.
    pub(super) fn note(&mut self, name: &str) {
        self.lost.push(format!("{}.{name}", self.at));
    }

    /// What deploying chooses anew.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        names.iter().for_each(|name| drop(self.left.remove(*name)));
    }

    /// Notes what nobody has taken, by name.
    pub(super) fn end(self) {
        let left = self.left.into_iter().filter(|(_, value)| !says_nothing(value));
        self.lost.extend(left.map(|(name, _)| format!("{}.{name}", self.at)));
    }
}

/// A field, the key of a compose file, and how its value is written there.
pub(super) type Renamed = (&'static str, &'static str, fn(&Value) -> Value);

/// A number and a switch may say `0` and `false`, where the default is another.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// What nobody takes may be as it is where nobody has set it.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(is_on) => !is_on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        value => is_empty(value),
    }
}
