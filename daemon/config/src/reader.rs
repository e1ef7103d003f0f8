//! Converts a `ConfFile` into typed values by a table of known keys. All invalid values are
//! reported, not only the first. An unknown key is a warning.

use std::{fmt, str::FromStr};

use crate::{file::ConfFile, keys::Key};

/// A valid configuration, and the warnings about its file.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The typed values, with defaults for missing keys.
    pub value: T,
    /// Unknown keys and malformed lines, in file order.
    pub warnings: Vec<Warning>,
}

/// A problem that does not make the configuration invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line number, starting at 1.
    pub line: usize,
    /// The problem, in lower case without a full stop.
    pub what: String,
}

/// All problems of an invalid configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Problem::list(.problems))]
pub struct Invalid {
    /// The problems; never empty.
    pub problems: Vec<Problem>,
}

/// An invalid or missing value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line number, starting at 1; `None` if the key is missing.
    pub line: Option<usize>,
    /// Name of the key.
    pub key: &'static str,
    /// The problem, for example `` `x` is not true or false ``.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: `{}`: {}", self.key, self.what),
            None => write!(f, "`{}`: {}", self.key, self.what),
        }
    }
}

impl Problem {
    fn list(problems: &[Self]) -> String {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        lines.join("; ")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Reads one file by one table of keys.
pub(crate) struct Reader<'a> {
    file: &'a ConfFile,
    keys: &'static [Key],
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a ConfFile, keys: &'static [Key]) -> Self {
        Self { file, keys, problems: Vec::new() }
    }

    /// The value of a key that must not be repeated, or its default.
    pub(crate) fn one<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let key = Key::named(self.keys, name);
        let given: Vec<_> = self.file.values(name).collect();
        if let [_, .., again] = given[..] {
            self.problem(Some(again.line), name, "is set more than once".to_owned());
            return None;
        }
        let (line, text) = given.first().map_or((None, key.default), |e| (Some(e.line), e.value));
        if text.is_empty() && line.is_none() {
            self.problem(None, name, "is missing".to_owned());
            return None;
        }
        self.parse(line, name, text)
    }

    /// The value of an optional key; `None` if it is missing or empty.
    pub(crate) fn maybe<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let given = self.file.values(name).any(|entry| !entry.value.is_empty());
        let default = Key::named(self.keys, name).default;
        if given || !default.is_empty() { self.one(name) } else { None }
    }

    /// All values of a key that may be repeated.
    pub(crate) fn many<T>(&mut self, name: &'static str) -> Vec<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        debug_assert!(Key::named(self.keys, name).repeats, "`{name}` repeats");
        let given: Vec<_> = self.file.values(name).filter(|e| !e.value.is_empty()).collect();
        given.iter().filter_map(|e| self.parse(Some(e.line), name, e.value)).collect()
    }

    /// Records an invalid combination of keys.
    pub(crate) fn problem(&mut self, line: Option<usize>, key: &'static str, what: String) {
        self.problems.push(Problem { line, key, what });
    }

    /// The configuration, unless a problem was recorded.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<Loaded<T>, Invalid> {
        let warnings = self.warnings();
        match value {
            Some(value) if self.problems.is_empty() => Ok(Loaded { value, warnings }),
            _ => Err(Invalid { problems: self.problems }),
        }
    }

    fn parse<T>(&mut self, line: Option<usize>, key: &'static str, text: &str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        text.parse().map_err(|error: T::Err| self.problem(line, key, error.to_string())).ok()
    }

    fn warnings(&self) -> Vec<Warning> {
        let unknown = self
            .file
            .entries()
            .filter(|entry| !self.keys.iter().any(|key| key.name.eq_ignore_ascii_case(entry.key)))
            .map(|entry| Warning {
                line: entry.line,
                what: format!("unknown key `{}`", entry.key),
            });
        let strays = self.file.strays().map(|(line, _)| Warning {
            line,
            what: "is neither `Key = value` nor a comment".to_owned(),
        });
        let mut warnings: Vec<_> = unknown.chain(strays).collect();
        warnings.sort_by_key(|warning| warning.line);
        warnings
    }
}
