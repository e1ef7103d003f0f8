//! Text in columns and at a given width: entries with a label, and tables.

/// The width of labels.
const LABEL: usize = 14;

/// A label with values beside it. A value that is too long continues on the next line.
pub(super) fn entry(label: &str, values: &[String], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for value in values {
        for line in wrap(value, width.saturating_sub(LABEL)) {
            let label = if lines.is_empty() { label } else { "" };
            lines.push(format!("{label:LABEL$}{line}"));
        }
    }
    lines
}

/// Rows of cells, each column as wide as its widest cell.
pub(super) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..COLUMNS).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Lines of at most that width where words allow it; lines after the first are indented, so that they
/// are not taken for another value.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let words = text.trim_start_matches(' ');
    let indent = " ".repeat(text.len() - words.len());
    let mut lines: Vec<String> = Vec::new();
    let mut line = indent.clone();
    for (index, word) in words.split(' ').enumerate() {
        if index > 0 && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, format!("{indent}  {word}")));
            continue;
        }
        if index > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs::File, io::Write as _, path::Path};

    use super::*;

    /// Compares pages with those in that file of the sources, or writes the file if `UPDATE_DOCS` is
    /// set.
    pub(in crate::report) fn compare(pages: &str, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report").join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            File::create(&path).unwrap().write_all(pages.as_bytes()).unwrap();
        }
        assert_eq!(pages, std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn a_value_continues_below_itself_and_a_long_word_stays_whole() {
        let values = ["one two three".to_owned(), "0123456789012345".to_owned()];

        assert_eq!(
            entry("Broker", &values, LABEL + 8),
            ["Broker        one two", "                three", "              0123456789012345"]
        );
        assert_eq!(wrap("a value", usize::MAX), ["a value"]);
        assert_eq!(wrap("  a value", 5), ["  a", "    value"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["ROLE", "STATE"], ["gateway", "up"]].map(|row| row.map(str::to_owned));

        assert_eq!(table(&rows), ["ROLE     STATE", "gateway  up"]);
    }
}
