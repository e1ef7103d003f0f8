//! Gives the answers' texts their types, and collects all that is wrong on the way.

use std::{fmt::Display, path::PathBuf, str::FromStr};

use cmsg_config::values::Switch;

use super::{Given, hints::right_form};
use crate::{
    answers::{Answer, Answers, Origin},
    args::settings::Setting,
    finding::Finding,
};

/// Reads one set of answers.
pub(super) struct Reader<'a> {
    answers: &'a Answers,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(answers: &'a Answers) -> Self {
        Self { answers, findings: Vec::new() }
    }

    /// All values of a setting that can be read.
    pub(super) fn many<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Vec<T> {
        let answer = self.answers.of(name);
        answer.texts.iter().filter_map(|text| self.parse(name, answer, text)).collect()
    }

    /// The value of a setting, where it has one that can be read.
    pub(super) fn one<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.many(name).into_iter().next()
    }

    /// The value of a setting that needs one.
    pub(super) fn required<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        if self.is_empty(name) {
            self.missing(name);
        }
        self.one(name)
    }

    /// The value of a switch.
    pub(super) fn switch(&mut self, name: &'static str) -> bool {
        self.one::<Switch>(name).is_some_and(|switch| switch.0)
    }

    /// The value of a path.
    pub(super) fn path(&self, name: &'static str) -> Option<PathBuf> {
        self.answers.of(name).texts.first().map(PathBuf::from)
    }

    /// The operator's file that a setting names.
    pub(super) fn given(&self, name: &'static str) -> Option<Given> {
        let is_kept = self.from(name) == Origin::Saved;
        self.path(name).map(|path| Given { setting: name, path, is_kept })
    }

    /// Who answered.
    pub(super) fn from(&self, name: &str) -> Origin {
        self.answers.of(name).from
    }

    /// Whether anybody gave it.
    pub(super) fn is_said(&self, name: &str) -> bool {
        self.from(name) != Origin::Default
    }

    /// Whether nobody gave a value.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.answers.of(name).texts.is_empty()
    }

    /// Notes that a setting needs a value.
    pub(super) fn missing(&mut self, name: &'static str) {
        let cure = format!("give it: `{}`", Setting::named(name).usage());
        self.refuse("settings.missing", format!("`--{name}` is missing"), cure);
    }

    /// Notes that a setting needs a value since another one needs it.
    pub(super) fn missing_for(&mut self, name: &'static str, other: &dyn Display) {
        let cure = format!("give it: `{}`", Setting::named(name).usage());
        self.refuse(
            "settings.missing",
            format!("`--{name}` is missing, and {other} needs it"),
            cure,
        );
    }

    /// A setting's value as its source has it.
    pub(super) fn source(&self, name: &'static str) -> String {
        source(Setting::named(name), self.from(name))
    }

    /// Notes what is wrong.
    pub(super) fn refuse(
        &mut self,
        id: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.findings.push(Finding::error(id, what, cure));
    }

    /// Notes what is odd.
    pub(super) fn warn(
        &mut self,
        id: &'static str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.findings.push(Finding::warning(id, what, cure));
    }

    /// What was wrong.
    pub(super) fn finish(self) -> Vec<Finding> {
        self.findings
    }

    fn parse<T: FromStr<Err: Display>>(
        &mut self,
        name: &'static str,
        answer: &Answer,
        text: &str,
    ) -> Option<T> {
        let setting = Setting::named(name);
        text.parse()
            .map_err(|error: T::Err| {
                let what = format!("{}: {error}", source(setting, answer.from));
                self.refuse("usage.value", what, right_form(setting, text));
            })
            .ok()
    }
}

/// A setting, and where its value comes from.
fn source(setting: &Setting, from: Origin) -> String {
    let name = setting.name;
    match from {
        Origin::Flag | Origin::Prompt | Origin::Default => format!("`--{name}`"),
        Origin::Environment => format!("`{}` in the environment", setting.variable()),
        Origin::Answers => format!("`{name}` in the answers file"),
        Origin::Saved => format!("`{name}` in the saved answers"),
        Origin::Edited => format!("`{name}` as edited by hand in the configuration"),
        Origin::Adopted => format!("`{name}` of the installation that is taken over"),
    }
}
