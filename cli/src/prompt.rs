//! Questions to a person at a terminal. Without a terminal a missing setting is an error, so each
//! question has a flag, and an answer is checked as the value of that flag.

mod broker;
mod dialog;
mod judged;
mod lines;
mod missing;
mod mode;
mod questions;
#[cfg(test)]
mod scripted;
mod terminal;

use std::{
    fmt,
    io::{self, IsTerminal as _},
};

use zeroize::Zeroizing;

use crate::{
    args::{Global, Output},
    finding::Finding,
};
pub(crate) use broker::{Before, Trust, how_to_trust};
pub(crate) use missing::{Unanswered, ask_for_missing, is_complete};
pub(crate) use terminal::Terminal;

/// Somebody who answers questions. The provided methods ask line by line.
pub(crate) trait Person {
    fn tell(&mut self, text: &str);

    /// Shows what is wrong with an answer.
    fn refuse(&mut self, finding: &Finding);

    /// Asks, and returns the line without spaces around it; a secret is not shown, and returned as it
    /// was typed.
    ///
    /// # Errors
    ///
    /// The person leaves.
    fn ask(&mut self, question: &str, is_secret: bool) -> Result<Zeroizing<String>, Gone>;

    /// Asks for a value until the judge accepts it.
    ///
    /// # Errors
    ///
    /// The person leaves.
    fn value(&mut self, question: &ValueQuestion, judge: &mut Judge<'_>) -> Result<String, Gone> {
        lines::value(self, question, judge)
    }

    /// Asks for one of several choices, and returns its index.
    ///
    /// # Errors
    ///
    /// The person leaves.
    fn choose(&mut self, question: &str, choices: &[&str]) -> Result<usize, Gone> {
        lines::choice(self, question, choices)
    }

    /// Asks for a yes; an empty answer means no.
    ///
    /// # Errors
    ///
    /// The person leaves.
    fn confirm(&mut self, question: &str) -> Result<bool, Gone> {
        lines::confirmation(self, question)
    }
}

/// A question for a value.
#[derive(Debug)]
pub(crate) struct ValueQuestion {
    /// What is asked for.
    pub(crate) text: &'static str,
    /// The flag that answers it.
    pub(crate) flag: String,
    /// What an empty answer means; empty if an answer is required.
    pub(crate) default: String,
}

impl ValueQuestion {
    /// What was typed, or the default if nothing was.
    fn or_default<'a>(&'a self, typed: &'a str) -> &'a str {
        if typed.is_empty() { &self.default } else { typed }
    }
}

impl fmt::Display for ValueQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, flag, default } = self;
        match &**default {
            "" => write!(f, "{text}  {flag}"),
            default => write!(f, "{text} [{default}]  {flag}"),
        }
    }
}

/// Returns what is wrong with a value; nothing accepts it.
pub(crate) type Judge<'a> = dyn FnMut(&str) -> Vec<Finding> + 'a;

/// The person left: by Ctrl-C, by Ctrl-D where lines are read, or with the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Whether questions may be asked. Nobody is asked if the output is JSON.
pub(crate) fn is_possible(global: &Global) -> bool {
    !global.non_interactive
        && global.output == Output::Text
        && io::stdin().is_terminal()
        && io::stderr().is_terminal()
}

/// Asks for a yes; an empty answer means no.
///
/// # Errors
///
/// The person leaves.
pub(crate) fn confirm(person: &mut dyn Person, question: &str) -> Result<bool, Gone> {
    person.confirm(question)
}
