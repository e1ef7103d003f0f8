//! Turns a `ConfFile` into typed values by the table of known keys. Every bad value is reported,
//! not just the first; an unknown key is a warning.

use std::{fmt, str::FromStr};

use crate::{file::ConfFile, keys::Key};

/// A configuration that was read, with what is odd in its file.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// What the administrator should look at.
    pub warnings: Vec<Warning>,
}

/// Something odd that stops nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line, counted from one.
    pub line: usize,
    /// What is odd there.
    pub what: String,
}

/// All that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Problem::list(.problems))]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One bad or missing value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, or none where a key is missing.
    pub line: Option<usize>,
    /// The key.
    pub key: &'static str,
    /// What is wrong with its value.
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

/// Reads one file by one table.
pub(crate) struct Reader<'a> {
    file: &'a ConfFile,
    keys: &'static [Key],
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a ConfFile, keys: &'static [Key]) -> Self {
        Self { file, keys, problems: Vec::new() }
    }

    /// The value of a key that stands at most once, or its default.
    pub(crate) fn one<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let key = Key::named(self.keys, name);
        let given: Vec<_> = self.file.values(name).collect();
        if let [_, .., again] = given[..] {
            self.problem(Some(again.line), name, "stands more than once".to_owned());
            return None;
        }
        let (line, text) = given.first().map_or((None, key.default), |e| (Some(e.line), e.value));
        if text.is_empty() && line.is_none() {
            self.problem(None, name, "is missing".to_owned());
            return None;
        }
        self.parse(line, name, text)
    }

    /// The value of a key that may be left out or left empty.
    pub(crate) fn maybe<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let given = self.file.values(name).any(|entry| !entry.value.is_empty());
        let default = Key::named(self.keys, name).default;
        if given || !default.is_empty() { self.one(name) } else { None }
    }

    /// All values of a key that may repeat.
    pub(crate) fn many<T>(&mut self, name: &'static str) -> Vec<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        debug_assert!(Key::named(self.keys, name).repeats, "`{name}` repeats");
        let given: Vec<_> = self.file.values(name).filter(|e| !e.value.is_empty()).collect();
        given.iter().filter_map(|e| self.parse(Some(e.line), name, e.value)).collect()
    }

    /// Notes what is wrong with a combination of keys.
    pub(crate) fn problem(&mut self, line: Option<usize>, key: &'static str, what: String) {
        self.problems.push(Problem { line, key, what });
    }

    /// The value, unless anything was wrong.
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
