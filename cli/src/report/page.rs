//! Text in columns and at a given width: entries with a label, and tables.

use crate::screen::wrap::{Width, between};

/// The width of labels.
const LABEL: usize = 14;

/// A label with values beside it. A value that is too long continues on the next line.
pub(super) fn entry(label: &str, values: &[String], width: Width) -> Vec<String> {
    let line = |(index, value): (usize, &String)| {
        let label = if index == 0 { label } else { "" };
        wrap(&format!("{label:LABEL$}"), value, width)
    };
    values.iter().enumerate().flat_map(line).collect()
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

/// The lines of a text behind a label. Lines after the first are indented further than the text, so that
/// they are not taken for another value.
pub(super) fn wrap(label: &str, text: &str, width: Width) -> Vec<String> {
    let words = text.trim_start_matches(' ');
    let first = format!("{label}{}", &text[..text.len() - words.len()]);
    let rest = " ".repeat(first.chars().count() + 2);
    between([&first, &rest], words, width).lines().map(str::to_owned).collect()
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
        let values = ["one two three".to_owned(), "x".repeat(50)];
        let width = Width::of_columns(40);
        let long = |value: &str| entry("Broker", &[value.to_owned()], width);

        assert_eq!(
            entry("Broker", &values, width),
            ["Broker        one two three".to_owned(), format!("              {}", "x".repeat(50)),]
        );
        assert_eq!(
            long("a value that is longer than one line"),
            ["Broker        a value that is longer", "                than one line"]
        );
        assert_eq!(long("  a value").join("\n"), "Broker          a value");
        assert_eq!(wrap("", "a value", Width::UNLIMITED), ["a value"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["ROLE", "STATE"], ["gateway", "up"]].map(|row| row.map(str::to_owned));

        assert_eq!(table(&rows), ["ROLE     STATE", "gateway  up"]);
    }
}
