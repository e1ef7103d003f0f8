//! A configuration file as lines of `Key = value`. The file belongs to the administrator as well:
//! comments, blank lines, unknown keys and their order survive a rewrite.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::text::{self, Undecodable};

/// The largest file that is read, in bytes. A typical one has a few kilobytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// Windows editors write it at the start of a file; concatenating files can leave it in the middle.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One configuration file, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfFile {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Entry { key: String, value: String },
    Other(String),
}

/// One `Key = value` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Line number, starting at 1.
    pub line: usize,
    /// The text before the first equals sign, trimmed.
    pub key: &'a str,
    /// The text after it, trimmed.
    pub value: &'a str,
}

/// Why a file could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Opening or reading the file failed.
    #[error("failed to read configuration `{}`", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is not UTF-8 and has no byte order mark. Guessing its encoding could lose a
    /// setting.
    #[error("configuration `{}`: {why}; {}", path.display(), why.fix(path))]
    Undecodable {
        /// Path of the file.
        path: PathBuf,
        /// The problem, with the line number.
        why: Undecodable,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("configuration `{}` is larger than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
    },
}

impl ConfFile {
    /// Reads a file from disk. UTF-8 and the encodings of [`text::decode`] are accepted.
    ///
    /// # Errors
    ///
    /// [`LoadError::Read`], [`LoadError::TooLarge`], or [`LoadError::Undecodable`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) + 1;
        File::open(path).map_err(read)?.take(limit).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() > MAX_BYTES {
            return Err(LoadError::TooLarge { path: path.to_owned() });
        }
        let text = text::decode(&bytes)
            .map_err(|why| LoadError::Undecodable { path: path.to_owned(), why })?;
        Ok(Self::parse(&text))
    }

    /// Parses the text of a file. Unknown keys and malformed lines are kept.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        Self { lines: text.lines().map(Line::parse).collect() }
    }

    /// All entries, in file order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match line {
            Line::Entry { key, value } => Some(Entry { line: index + 1, key, value }),
            Line::Other(_) => None,
        })
    }

    /// Line numbers and text of lines that are neither an entry, nor a comment, nor blank.
    pub fn strays(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match line {
            Line::Other(text) if !is_comment(text) => Some((index + 1, text.as_str())),
            _ => None,
        })
    }

    /// The entries with this key, in file order.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = Entry<'a>> {
        self.entries().filter(move |entry| entry.key.eq_ignore_ascii_case(key))
    }

    /// Replaces all values of a key. The new lines are where the first old one was, or at the end
    /// of the file.
    pub fn set<I>(&mut self, key: &str, values: I)
    where
        I: IntoIterator,
        I::Item: ToString,
    {
        let is_key =
            |line: &Line| matches!(line, Line::Entry { key: k, .. } if k.eq_ignore_ascii_case(key));
        let place = self.lines.iter().position(is_key);
        self.lines.retain(|line| !is_key(line));
        let place = place.unwrap_or(self.lines.len()).min(self.lines.len());

        let entries = values
            .into_iter()
            .map(|value| Line::Entry { key: key.to_owned(), value: one_line(&value.to_string()) });
        self.lines.splice(place..place, entries);
    }

    /// Appends `# text` as the last line.
    pub fn comment(&mut self, text: &str) {
        self.lines.extend(text.lines().map(|line| Line::Other(format!("# {line}"))));
    }

    /// The text of the file, with all comments and unknown lines.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let _ = match line {
                Line::Entry { key, value } if value.is_empty() => writeln!(text, "{key} ="),
                Line::Entry { key, value } => writeln!(text, "{key} = {value}"),
                Line::Other(other) => writeln!(text, "{other}"),
            };
        }
        text
    }
}

impl Line {
    fn parse(line: &str) -> Self {
        let line = line.trim_end();
        if is_comment(line) {
            return Self::Other(line.to_owned());
        }
        match line.split_once('=').map(|(key, value)| (key.trim_matches(is_blank), value.trim())) {
            Some((key, value)) if !key.is_empty() => {
                Self::Entry { key: key.to_owned(), value: value.to_owned() }
            }
            _ => Self::Other(line.to_owned()),
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == BYTE_ORDER_MARK
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start_matches(is_blank);
    line.is_empty() || line.starts_with('#') || line.starts_with(';')
}

/// Joins the lines of a value, so that it cannot add a second entry to the file.
fn one_line(value: &str) -> String {
    value.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_rewrite_keeps_unchanged_lines() {
        let text = "# mine\n\nMaxConnections = 10\nUnknown = x = y\nnonsense\n";
        let mut file = ConfFile::parse(text);

        file.set("MaxConnections", [20]);

        assert_eq!(file.render(), "# mine\n\nMaxConnections = 20\nUnknown = x = y\nnonsense\n");
    }

    #[test]
    fn a_repeated_key_is_replaced_in_place() {
        let mut file = ConfFile::parse("A = 1\nB = 1\nA = 2\nC = 3");

        file.set("a", ["7", "8", "9"]);

        assert_eq!(file.render(), "a = 7\na = 8\na = 9\nB = 1\nC = 3\n");
    }

    #[test]
    fn setting_no_value_removes_the_key() {
        let mut file = ConfFile::parse("A = 1\nB = 2\n");

        file.set("A", [""; 0]);

        assert_eq!(file.render(), "B = 2\n");
    }

    #[test]
    fn crlf_line_endings_and_a_byte_order_mark_are_accepted() {
        let file = ConfFile::parse("\u{feff}LogLevel = DEBUG\r\n");

        let entries: Vec<_> = file.entries().collect();

        assert_eq!(entries, [Entry { line: 1, key: "LogLevel", value: "DEBUG" }]);
    }

    #[test]
    fn a_file_in_an_unsupported_encoding_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.conf");
        let load = |bytes: &[u8]| {
            File::create(&path).unwrap().write_all(bytes).unwrap();
            ConfFile::load(&path)
        };
        let text = "\u{feff}# für\r\nLogLevel = DEBUG\r\n";
        let units = text.encode_utf16();
        let le: Vec<u8> = units.clone().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();

        for bytes in [text.as_bytes(), &le, &be] {
            assert_eq!(load(bytes).unwrap().render(), "# für\nLogLevel = DEBUG\n");
        }
        let name = path.display();
        let table: [(&[u8], &str); 2] = [
            (&le[2..], "is UTF-16 without a byte order mark; save it as UTF-8: `iconv -f UTF-16LE"),
            (b"A = 1\nB = \xfc\n", "line 2 is not UTF-8; save it as UTF-8: `iconv -f WINDOWS-1252"),
        ];
        for (bytes, why) in table {
            assert_eq!(
                load(bytes).unwrap_err().to_string(),
                format!("configuration `{name}`: {why} -t UTF-8 -o {name}.utf8 {name}`")
            );
        }
    }

    #[test]
    fn byte_order_marks_do_not_become_part_of_a_key() {
        for text in ["\u{feff}\u{feff}A = 1\n", " \u{feff}A = 1\n", "B = 2\n\u{feff}A = 1\n"] {
            let file = ConfFile::parse(text);

            assert_eq!(file.values("A").map(|entry| entry.value).collect::<Vec<_>>(), ["1"]);
            assert_eq!(ConfFile::parse(&file.render()), file);
        }
    }

    #[test]
    fn a_comment_after_a_byte_order_mark_is_a_comment() {
        let file = ConfFile::parse("A = 1\n \u{feff}# B = 2\n\u{feff}\n");

        assert_eq!(file.entries().count(), 1);
        assert_eq!(file.strays().count(), 0);
        assert_eq!(ConfFile::parse(&file.render()), file);
    }

    #[test]
    fn a_value_cannot_add_a_line() {
        let mut file = ConfFile::default();

        file.set("BrokerType", ["x\nAgentCertCheck = false"]);

        assert_eq!(file.render(), "BrokerType = x AgentCertCheck = false\n");
    }

    #[test]
    fn lines_without_a_key_are_reported() {
        let file = ConfFile::parse("ok = 1\nnonsense\n= 3\n# c\n");

        assert_eq!(file.strays().collect::<Vec<_>>(), [(2, "nonsense"), (3, "= 3")]);
    }
}
