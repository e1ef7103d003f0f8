//! One configuration file while it is written: what the installer sets, what it only proposes to
//! the administrator, and the note of whose a value is.

use std::{fmt::Display, path::Path};

use cmsg_config::ConfFile;

use crate::{
    host::edits::{Edit, Fate},
    installation::record::Values,
};

/// A configuration and the note of what the installer wrote into it.
pub(super) struct Draft<'a> {
    pub(super) file: ConfFile,
    /// What the installer wrote the last time.
    before: &'a Values,
    /// What it writes this time.
    pub(super) written: Values,
    /// What was edited by hand since.
    edits: Vec<&'a Edit>,
}

impl<'a> Draft<'a> {
    /// Begins with the file that is there.
    pub(super) fn new(file: ConfFile, before: &'a Values, edits: Vec<&'a Edit>) -> Self {
        Self { file, before, written: Values::default(), edits }
    }

    /// The file and the note, with the edits that stay as they are.
    pub(super) fn finish(mut self) -> (ConfFile, Values) {
        for edit in self.edits.iter().filter(|edit| edit.fate == Fate::Kept) {
            self.file.set(&edit.key, &edit.values);
            self.written.set(&edit.key, &edit.written);
        }
        (self.file, self.written)
    }

    /// Sets a key, whoever wrote its value. One that stands there already stays whose it was.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        if self.before.holds(key, &self.file) || !self.stands(key, value) {
            self.written.set(key, &[value.to_owned()]);
        }
        self.file.set(key, [value]);
    }

    /// Sets the values of a key, also where the administrator wrote them.
    pub(super) fn set_all(&mut self, key: &str, values: &[impl Display]) {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        self.file.set(key, &values);
        self.written.set(key, &values);
    }

    /// Sets the values of a key that the installer works out, unless they were edited by hand.
    pub(super) fn set_unless_edited(&mut self, key: &str, value: Option<&impl Display>) {
        if self.before.knows(key) && !self.before.holds(key, &self.file) {
            self.written.set(key, &[]);
        } else {
            self.set_all(key, value.as_slice());
        }
    }

    /// Sets a key to a path, unless somebody else wrote its value.
    pub(super) fn propose(&mut self, key: &str, path: &Path) {
        let path = path.display().to_string();
        let is_free = self.file.values(key).next().is_none();
        if is_free || self.before.holds(key, &self.file) || self.stands(key, &path) {
            self.file.set(key, [&path]);
            self.written.set(key, &[path]);
        }
    }

    /// The same, also where a key has the path that it had before.
    pub(super) fn propose_instead(&mut self, key: &str, former: &Path, path: &Path) {
        if self.stands(key, &former.display().to_string()) {
            self.file.set(key, [path.display()]);
        }
        self.propose(key, path);
    }

    /// Has a path among the values of a key or not, beside those that somebody else wrote. Where
    /// somebody replaced it by others, it stays away.
    pub(super) fn propose_among(&mut self, key: &str, path: &Path, is_wanted: bool) {
        let path = path.display().to_string();
        let before = self.before.of(key);
        let (ours, others): (Vec<String>, Vec<String>) = self
            .file
            .values(key)
            .map(|entry| entry.value.to_owned())
            .partition(|value| *value == path || before.contains(value));
        let is_replaced = ours.is_empty() && !others.is_empty() && !before.is_empty();
        let own = Some(&path).filter(|_| is_wanted && !is_replaced);
        self.file.set(key, own.into_iter().chain(&others));
        if is_wanted {
            self.written.set(key, &[path]);
        }
    }

    /// Takes back what the installer wrote.
    pub(super) fn take_back(&mut self, key: &str) {
        if self.before.holds(key, &self.file) {
            self.file.set(key, [""; 0]);
        }
    }

    fn stands(&self, key: &str, value: &str) -> bool {
        self.file.values(key).map(|entry| entry.value).eq([value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = &'static [&'static str];

    /// The values of the key `Key` and the note, after a change of a file that says so.
    fn changed(
        there: List,
        before: List,
        change: impl FnOnce(&mut Draft<'_>),
    ) -> (Vec<String>, Vec<String>) {
        let texts = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut file = ConfFile::default();
        file.set("Key", there);
        let mut note = Values::default();
        note.set("Key", &texts(before));
        let mut draft = Draft::new(file, &note, Vec::new());
        change(&mut draft);
        let values = draft.file.values("Key").map(|entry| entry.value.to_owned()).collect();
        (values, draft.written.of("Key").into())
    }

    #[test]
    fn a_path_is_set_where_nobody_else_wrote_one() {
        let table: [(List, List, &str, List); 6] = [
            (&[], &[], "/own", &["/own"]),
            (&[], &["/old"], "/own", &["/own"]),
            (&["/old"], &["/old"], "/own", &["/own"]),
            (&["/own"], &[], "/own", &["/own"]),
            (&["/mine"], &[], "/mine", &[]),
            (&["/mine"], &["/old"], "/mine", &[]),
        ];
        for (there, before, value, written) in table {
            let (values, note) = changed(there, before, |d| d.propose("Key", Path::new("/own")));

            assert_eq!(values, [value], "{there:?} {before:?}");
            assert_eq!(note, written, "{there:?} {before:?}");
        }
    }

    #[test]
    fn a_path_stands_among_those_of_others() {
        let table: [(List, List, bool, List); 10] = [
            (&[], &[], true, &["/own"]),
            (&[], &[], false, &[]),
            (&[], &["/own"], true, &["/own"]),
            (&["/own"], &["/own"], false, &[]),
            (&["/own"], &[], false, &[]),
            (&["/old"], &["/old"], true, &["/own"]),
            (&["/mine"], &[], true, &["/own", "/mine"]),
            (&["/mine", "/own"], &["/own"], true, &["/own", "/mine"]),
            (&["/mine", "/own"], &["/own"], false, &["/mine"]),
            (&["/mine"], &["/own"], true, &["/mine"]),
        ];
        for (there, before, is_wanted, expected) in table {
            let own = Path::new("/own");

            let (values, note) = changed(there, before, |d| d.propose_among("Key", own, is_wanted));

            assert_eq!(values, expected, "{there:?} {before:?} {is_wanted}");
            assert_eq!(!note.is_empty(), is_wanted);
        }
    }

    #[test]
    fn a_value_that_stands_there_already_stays_whose_it_was() {
        let table: [(List, List, List); 4] = [
            (&[], &[], &["7"]),
            (&["6"], &[], &["7"]),
            (&["7"], &["7"], &["7"]),
            (&["7"], &["6"], &[]),
        ];
        for (there, before, written) in table {
            let (values, note) = changed(there, before, |draft| draft.set("Key", "7"));

            assert_eq!(
                (values, note),
                (vec!["7".to_owned()], written.iter().map(ToString::to_string).collect())
            );
        }
    }

    #[test]
    fn only_what_the_installer_wrote_is_taken_back() {
        let table: [(List, List, List); 3] =
            [(&["6"], &["6"], &[]), (&["6"], &[], &["6"]), (&["6"], &["7"], &["6"])];
        for (there, before, expected) in table {
            assert_eq!(changed(there, before, |draft| draft.take_back("Key")).0, expected);
        }
    }
}
