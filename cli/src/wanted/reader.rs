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
    pub(super) fn many<T: FromStr<Err: Display>>(&mut self, setting: Setting) -> Vec<T> {
        let answer = self.answers.of(setting);
        answer.texts.iter().filter_map(|text| self.parse(setting, answer, text)).collect()
    }

    /// The value of a setting, where it has one that can be read.
    pub(super) fn one<T: FromStr<Err: Display>>(&mut self, setting: Setting) -> Option<T> {
        self.many(setting).into_iter().next()
    }

    /// The value of a setting that needs one.
    pub(super) fn required<T: FromStr<Err: Display>>(&mut self, setting: Setting) -> Option<T> {
        if self.is_empty(setting) {
            self.missing(setting);
        }
        self.one(setting)
    }

    /// The value of a switch.
    pub(super) fn switch(&mut self, setting: Setting) -> bool {
        self.one::<Switch>(setting).is_some_and(|switch| switch.0)
    }

    /// The value of a path.
    pub(super) fn path(&self, setting: Setting) -> Option<PathBuf> {
        self.answers.of(setting).texts.first().map(PathBuf::from)
    }

    /// The operator's file that a setting names.
    pub(super) fn given(&self, setting: Setting) -> Option<Given> {
        let is_kept = self.from(setting) == Origin::Saved;
        self.path(setting).map(|path| Given { setting, path, is_kept })
    }

    pub(super) fn from(&self, setting: Setting) -> Origin {
        self.answers.of(setting).from
    }

    /// Whether anybody gave it.
    pub(super) fn is_said(&self, setting: Setting) -> bool {
        self.from(setting) != Origin::Default
    }

    /// Whether nobody gave a value.
    pub(super) fn is_empty(&self, setting: Setting) -> bool {
        self.answers.of(setting).texts.is_empty()
    }

    /// Notes that a setting needs a value.
    pub(super) fn missing(&mut self, setting: Setting) {
        let cure = format!("set it with `{}`", setting.usage());
        self.refuse("settings.missing", format!("`--{setting}` is missing"), cure);
    }

    /// Notes that a setting needs a value since another one needs it.
    pub(super) fn missing_for(&mut self, setting: Setting, needing: Setting) {
        let cure = format!("set it with `{}`", setting.usage());
        self.refuse(
            "settings.missing",
            format!("`--{setting}` is missing, but `--{needing}` requires it"),
            cure,
        );
    }

    /// A setting's value as its source has it.
    pub(super) fn source(&self, setting: Setting) -> String {
        source(setting, self.from(setting))
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

    pub(super) fn finish(self) -> Vec<Finding> {
        self.findings
    }

    fn parse<T: FromStr<Err: Display>>(
        &mut self,
        setting: Setting,
        answer: &Answer,
        text: &str,
    ) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| {
                let what = format!("{}: {error}", source(setting, answer.from));
                self.refuse("usage.value", what, right_form(setting, text));
            })
            .ok()
    }
}

/// A setting, and where its value comes from.
fn source(setting: Setting, from: Origin) -> String {
    match from {
        Origin::Flag | Origin::Prompt | Origin::Default => format!("`--{setting}`"),
        Origin::Environment => format!("`{}` in the environment", setting.variable()),
        Origin::Answers => format!("`{setting}` in the answers file"),
        Origin::Saved => format!("`{setting}` in the saved settings"),
        Origin::Edited => format!("`{setting}`, which was edited by hand in the configuration"),
        Origin::Adopted => format!("`{setting}` of the adopted installation"),
    }
}
