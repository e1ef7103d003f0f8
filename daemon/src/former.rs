//! Copies the state of versions without a `state` directory, which kept it in `data`.

use std::{fs::File, io, path::Path};

use cmsg_config::paths;
use tracing::{info, warn};

use crate::journal::JournalFile;

/// The files of a role in its state directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Name of the journal.
    pub(crate) journal: &'static str,
    /// Maximum size of the journal in bytes.
    pub(crate) limit: usize,
    /// Name of the file that marks a draining role.
    pub(crate) mark: &'static str,
}

/// Copies the files to `folder` if the role starts there for the first time, which means that there
/// is no journal: a role writes its journal as soon as it serves.
pub(crate) fn copy(kept: Kept, folder: &Path) {
    let Some(former) = paths::former_state(folder) else { return };
    if folder.join(kept.journal).symlink_metadata().is_ok() {
        return;
    }
    // The journal is copied last, so that an interrupted copy is repeated.
    let copied = copy_mark(kept.mark, &former, folder)
        .and_then(|had_mark| Ok(had_mark | copy_journal(kept, &former, folder)?));
    let former = former.display();
    match copied {
        Ok(true) => info!(%former, "Copied state from an earlier version"),
        Ok(false) => {}
        Err(error) => warn!(%former, %error, "Failed to copy state from an earlier version"),
    }
}

fn copy_mark(mark: &str, former: &Path, folder: &Path) -> io::Result<bool> {
    if !former.join(mark).exists() {
        return Ok(false);
    }
    File::create(folder.join(mark))?.sync_all()?;
    Ok(true)
}

fn copy_journal(kept: Kept, former: &Path, folder: &Path) -> io::Result<bool> {
    let Some(bytes) = JournalFile::new(former, kept.journal).read(kept.limit)? else {
        return Ok(false);
    };
    JournalFile::new(folder, kept.journal).replace(&bytes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;
    use crate::drain::Drain;

    fn put(path: &Path, text: &str) {
        File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    const KEPT: Kept = Kept { journal: "role.journal", limit: 100, mark: "role.draining" };

    #[test]
    fn files_of_an_earlier_version_are_only_copied_at_the_first_start() {
        let base = tempfile::tempdir().unwrap();
        let [data, state] = ["data", "state"].map(|name| base.path().join(name));
        fs::create_dir(&data).unwrap();
        fs::create_dir(&state).unwrap();
        put(&data.join(KEPT.journal), "former");
        put(&data.join(KEPT.mark), "");

        copy(KEPT, &state);

        assert_eq!(fs::read_to_string(state.join(KEPT.journal)).unwrap(), "former");
        let drain = Drain::load(&state, "role");
        assert!(drain.is_on());
        drain.set(false).unwrap();
        put(&state.join(KEPT.journal), "own");
        copy(KEPT, &state);
        assert_eq!(fs::read_to_string(state.join(KEPT.journal)).unwrap(), "own");
        assert!(!Drain::load(&state, "role").is_on(), "the former mark counts no more");
    }

    #[test]
    fn a_directory_with_another_name_has_no_earlier_state() {
        let base = tempfile::tempdir().unwrap();
        let [data, own] = ["data", "mine"].map(|name| base.path().join(name));
        fs::create_dir(&data).unwrap();
        fs::create_dir(&own).unwrap();
        put(&data.join(KEPT.journal), "former");

        copy(KEPT, &own);

        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
    }
}
