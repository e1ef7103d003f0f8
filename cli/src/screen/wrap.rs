//! Text as wide as a terminal. Nothing is printed here, so that tests see what people see.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::display_width, fill};

/// Wider lines are hard to read, however wide the terminal is.
const WIDEST: usize = 100;
/// In a narrower terminal, every line would be a single word.
const NARROWEST: usize = 20;
/// Stands for a space within a command, where no line ends.
const TIED: char = '\u{e000}';

/// How many columns there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width(Option<usize>);

impl Width {
    /// Nothing is wrapped: another program reads it.
    pub(crate) const UNLIMITED: Self = Self(None);

    /// A terminal with so many columns.
    pub(crate) fn of_columns(columns: usize) -> Self {
        Self(Some(columns.clamp(NARROWEST, WIDEST)))
    }
}

/// Wraps each line of a text. The rest of a line is indented as the line is, behind its `-` or `1.`.
pub(crate) fn text(text: &str, width: Width) -> String {
    let lines = text.lines().map(|line| {
        let (indent, rest) = line.split_at(hanging(line));
        paragraph(indent, rest, width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Wraps a text behind a label such as `error:`; its lines begin below each other. The label may have
/// a colour.
pub(crate) fn labelled(label: &str, text: &str, width: Width) -> String {
    let first = format!("{label} ");
    let indent = " ".repeat(display_width(&first));
    let mut lines = text.lines();
    let first = paragraph(&first, lines.next().unwrap_or_default(), width);
    let others = lines.map(|line| paragraph(&indent, line, width));
    std::iter::once(first).chain(others).collect::<Vec<_>>().join("\n")
}

/// Names with what belongs to each, in two columns behind `indent` spaces.
pub(crate) fn table(rows: &[(String, String)], indent: usize, width: Width) -> String {
    let widest = rows.iter().map(|(name, _)| display_width(name)).max().unwrap_or_default();
    let row = |(name, value): &(String, String)| {
        let gap = " ".repeat(widest - display_width(name) + 1);
        labelled(&format!("{}{name}{gap}", " ".repeat(indent)), value, width)
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// A command on lines of its own, which a shell still reads as one.
pub(crate) fn command(command: &str, indent: usize, width: Width) -> String {
    const GOES_ON: &str = " \\";
    let room = Width(width.0.map(|columns| columns.saturating_sub(GOES_ON.len())));
    let first = " ".repeat(indent);
    wrapped(command, [&first, &format!("{first}  ")], room).replace('\n', &format!("{GOES_ON}\n"))
}

/// How far the rest of a line is indented.
fn hanging(line: &str) -> usize {
    let text = line.trim_start_matches(' ');
    let marker = text.find(' ').filter(|end| {
        let word = &text[..*end];
        let number = word.strip_suffix(['.', ')']);
        word == "-" || number.is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
    });
    line.len() - text.len() + marker.map_or(0, |end| end + 1)
}

/// One line of a text, with the rest of it indented to where the line begins.
fn paragraph(first: &str, text: &str, Width(columns): Width) -> String {
    let indent = " ".repeat(display_width(first));
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent.len()));
    let tied = tie(text, room);
    wrapped(&tied, [first, &indent], Width(columns)).replace(TIED, " ").trim_end().to_owned()
}

/// The text with no place for a line to end within backticks, where a line has room for that.
fn tie(text: &str, room: usize) -> String {
    let parts: Vec<_> = text.split('`').collect();
    let is_quoted = |index: usize, part: &str| {
        index % 2 == 1 && index + 1 < parts.len() && display_width(part) + 3 <= room
    };
    let tied = parts.iter().enumerate().map(|(index, part)| {
        if is_quoted(index, part) {
            part.replace(' ', &TIED.to_string())
        } else {
            (*part).to_owned()
        }
    });
    tied.collect::<Vec<_>>().join("`")
}

/// Lines end at spaces alone: neither a path nor a URL is broken, be it longer than a line.
fn wrapped(text: &str, [first, indent]: [&str; 2], Width(columns): Width) -> String {
    let Some(columns) = columns else { return format!("{first}{text}") };
    let options = Options::new(columns)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .initial_indent(first)
        .subsequent_indent(indent);
    fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_between_words_and_goes_on_below_its_text() {
        let width = Width::of_columns(30);
        let table = [
            ("one two three four five six seven", "one two three four five six\nseven"),
            ("  one two three four five six", "  one two three four five six"),
            ("  one two three four five sixth", "  one two three four five\n  sixth"),
            (" 1. one two three four five sixth", " 1. one two three four five\n    sixth"),
            ("- one two three four five sixth\n\nend", "- one two three four five\n  sixth\n\nend"),
            (
                "a well-known-and-hyphenated word-of-ours",
                "a well-known-and-hyphenated\nword-of-ours",
            ),
        ];
        for (line, lines) in table {
            assert_eq!(text(line, width), lines);
        }
        assert_eq!(text(table[0].0, Width::UNLIMITED), table[0].0);
    }

    #[test]
    fn paths_and_commands_stay_whole() {
        let width = Width::of_columns(30);
        let path = "/opt/teradici/pcoipcm_data/data/answers.yaml";
        assert_eq!(text(&format!("the file {path} is"), width), format!("the file\n{path}\nis"));
        assert_eq!(
            labelled("hint:", "try again with `sudo install --yes`, or not", width),
            "hint: try again with\n      `sudo install --yes`, or\n      not"
        );
        // Longer than a line.
        assert_eq!(
            labelled("hint:", "run `pcoip-cmsg-setup install --runtime=host`", width),
            "hint: run `pcoip-cmsg-setup\n      install --runtime=host`"
        );
    }

    #[test]
    fn a_colour_has_no_width() {
        let label = "\u{1b}[1;31merror\u{1b}[0m:";
        assert_eq!(
            labelled(label, "one two three four five", Width::of_columns(20)),
            format!("{label} one two three\n       four five")
        );
    }

    #[test]
    fn a_table_has_straight_columns() {
        let rows = [("a", "one two three four five six"), ("long", "one")];
        let rows = rows.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            table(&rows, 2, Width::of_columns(24)),
            "  a     one two three\n        four five six\n  long  one"
        );
        assert_eq!(
            table(&rows, 0, Width::UNLIMITED),
            "a     one two three four five six\nlong  one"
        );
    }

    #[test]
    fn a_wrapped_command_can_be_pasted() {
        assert_eq!(
            command("setup install --yes --root /r", 2, Width::of_columns(22)),
            "  setup install \\\n    --yes --root /r"
        );
    }
}
