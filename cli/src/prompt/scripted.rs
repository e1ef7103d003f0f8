//! A person in tests, whose answers are known in advance.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::{Gone, Person};
use crate::finding::Finding;

/// Gives the answers in order, and leaves after the last.
#[derive(Debug, Default)]
pub(super) struct Scripted {
    answers: VecDeque<String>,
    pub(super) asked: Vec<String>,
    /// What was shown, without blank lines.
    pub(super) told: Vec<String>,
    /// What was wrong with answers.
    pub(super) refused: Vec<String>,
}

impl Scripted {
    /// Will give these answers.
    pub(super) fn answering(answers: &[&str]) -> Self {
        let answers = answers.iter().map(ToString::to_string).collect();
        Self { answers, ..Self::default() }
    }
}

impl Person for Scripted {
    fn tell(&mut self, text: &str) {
        if !text.is_empty() {
            self.told.push(text.to_owned());
        }
    }

    fn refuse(&mut self, finding: &Finding) {
        self.refused.push(finding.what.clone());
    }

    fn ask(&mut self, question: &str, is_secret: bool) -> Result<Zeroizing<String>, Gone> {
        let mark = if is_secret { " (unseen)" } else { "" };
        self.asked.push(format!("{question}{mark}"));
        self.answers.pop_front().map(Zeroizing::new).ok_or(Gone)
    }
}
