//! The outcome of a command, as a document for programs and as lines for people.

pub(crate) mod bans;
mod clients;
pub(crate) mod ending;
mod page;
pub(crate) mod removal;
pub(crate) mod roles;
pub(crate) mod status;
pub(crate) mod summary;

use std::path::Path;

use cmsg_bundles::Built;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    answers::{Answer, Answers, Origin},
    args::settings::Setting,
    finding::Finding,
    plan::Plan,
    report::roles::RoleView,
    screen::Screen,
    shown::capital,
    shown::counted,
    step::Step,
};

/// How a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Done,
    /// Nothing was performed, as asked.
    Planned,
    /// Checks refused it; nothing was performed.
    Refused,
    Failed,
    /// Everything was performed, did not come to life and was undone.
    RolledBack,
}

/// What is told of a command that changes something.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    /// What the checks found, and what went wrong.
    pub(crate) findings: Vec<Finding>,
    pub(crate) plan: Plan,
    /// How many of the steps are done.
    pub(crate) done: usize,
    /// The settings, with who gave them.
    pub(crate) settings: Value,
    /// The roles as they are afterwards.
    pub(crate) roles: Vec<RoleView>,
}

impl Report {
    /// Of a plan of which nothing is performed yet.
    pub(crate) fn planned(findings: Vec<Finding>, plan: Plan, settings: Value) -> Self {
        Self { outcome: Outcome::Planned, findings, plan, done: 0, settings, roles: Vec::new() }
    }

    pub(crate) fn document(&self) -> Value {
        let step = |(index, step): (usize, &Step)| {
            json!({
                "step": step.name(),
                "changes": step.changes(),
                "undo": step.undoing(),
                "done": index < self.done,
            })
        };
        json!({
            "schema": 1,
            "outcome": self.outcome,
            "findings": self.findings,
            "plan": self.plan.steps.iter().enumerate().map(step).collect::<Vec<_>>(),
            "settings": self.settings,
            "restarts": self.plan.restarts,
            "roles": roles::document(&self.roles),
        })
    }

    /// Prints the document where one is wanted.
    pub(crate) fn show_document(&self, screen: &Screen) {
        if screen.is_json {
            screen.document(&self.document());
        }
    }
}

/// The document of a command that got no further than its words or its checks.
pub(crate) fn refusal(findings: &[Finding]) -> Value {
    without_plan(Outcome::Refused, findings)
}

/// The document of a command that failed before it had a plan.
pub(crate) fn failure(finding: &Finding) -> Value {
    without_plan(Outcome::Failed, std::slice::from_ref(finding))
}

fn without_plan(outcome: Outcome, findings: &[Finding]) -> Value {
    json!({
        "schema": 1,
        "outcome": outcome,
        "findings": findings,
        "plan": [],
        "settings": {},
        "restarts": [],
        "roles": {},
    })
}

/// The document of a bundle that was made.
pub(crate) fn bundle(findings: &[Finding], path: &Path, built: &Built) -> Value {
    let manifest = &built.manifest;
    json!({
        "schema": 1,
        "outcome": Outcome::Done,
        "findings": findings,
        "bundle": {
            "path": path,
            "size": built.bytes,
            "sha256": built.sha256,
            "version": manifest.version,
            "architecture": manifest.architecture,
            "files": manifest.files,
        },
    })
}

/// What stands last where a command is refused: among many warnings an error is easily overlooked.
pub(crate) fn refusal_line(findings: &[Finding]) -> String {
    let mut errors: Vec<_> =
        findings.iter().filter(|finding| finding.is_error()).map(|finding| finding.id).collect();
    errors.dedup();
    format!("refused, nothing is changed: {}", errors.join(", "))
}

/// The document of a validation.
pub(crate) fn validation(findings: &[Finding]) -> Value {
    json!({ "schema": 1, "findings": findings })
}

/// The outcome of a validation in one line.
pub(crate) fn validation_line(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = counted(findings.len() - errors, "warning");
    match errors {
        0 => format!("`install` with the same flags can be run: no errors, {warnings}"),
        _ => format!("`install` would be refused: {}, {warnings}", counted(errors, "error")),
    }
}

/// What was kept of the last installation's answers, with the flags that change it.
pub(crate) fn kept_lines(answers: &Answers) -> Vec<String> {
    let line = |(setting, answer): (Setting, &Answer)| {
        let value = answer.texts.join(", ");
        let how = if answer.from == Origin::Adopted { "adopted" } else { "kept" };
        format!("{how}: `{setting}` is {value}; `{}` changes it", setting.usage())
    };
    answers.kept().map(line).collect()
}

/// A setting that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) setting: String,
    /// Its value before; empty for none.
    pub(crate) before: String,
    pub(crate) after: String,
}

/// What is different from the last installation's answers, and from the pins before.
pub(crate) fn changes(before: &Answers, after: &Answers, pins: [String; 2]) -> Vec<Change> {
    let mut changes: Vec<_> = after
        .changed(before)
        .map(|(setting, old, new)| Change {
            setting: setting.to_string(),
            before: old.texts.join(", "),
            after: new.texts.join(", "),
        })
        .collect();
    let [before, after] = pins;
    if before != after {
        changes.push(Change { setting: "broker-pin".to_owned(), before, after });
    }
    changes
}

/// The steps of a plan, one by one, in their groups.
pub(crate) fn plan_lines(plan: &Plan) -> String {
    let mut lines = Vec::new();
    let mut last = None;
    let digits = plan.steps.len().to_string().len();
    for (index, step) in plan.steps.iter().enumerate() {
        let group = step.stage().group;
        if last.replace(group) != Some(group) {
            lines.push(group.to_string());
        }
        let number = index + 1;
        lines.push(format!("  {number:>digits$}. {}: {}", capital(&step.name()), step.changes()));
    }
    if !plan.restarts.is_empty() {
        lines.push(format!("Restarts: {}", summary::named(&plan.restarts)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod screens;
#[cfg(test)]
mod tests;
