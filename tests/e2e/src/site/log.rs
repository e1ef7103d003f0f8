//! Splits a log file like an administrator's parser.

use std::path::Path;

/// One line, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The session log id, or `none`.
    pub session: String,
    /// Whether the session has a number.
    pub is_numbered: bool,
    /// How bad it is.
    pub level: String,
    pub class: String,
    /// The sentence and its values.
    pub message: String,
}

impl Line {
    /// Takes `TIME SESSION s=N c=N LEVEL CLASS : MESSAGE` apart.
    fn parse(line: &str) -> Option<Self> {
        let (columns, message) = line.split_once(" : ")?;
        let columns: Vec<_> = columns.split_whitespace().collect();
        let [_, session, number, _, level, class] = columns[..] else { return None };
        Some(Self {
            session: session.to_owned(),
            is_numbered: number != "s=none",
            level: level.to_owned(),
            class: class.to_owned(),
            message: message.to_owned(),
        })
    }
}

pub(super) fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).expect("the log can be read");
    text.lines().map(|line| Line::parse(line).expect("a line has the vendor's columns")).collect()
}
