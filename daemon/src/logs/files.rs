//! The log files of a role. Lines are written to the newest file; a full one is followed by
//! another. Errors are not reported to the caller, since a full disk must not stop a role.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use cmsg_proto::Time;

use super::{
    retention::{Entry, Retention, following, name, next_number},
    writer::Lines,
};
use crate::{clock, reload::BadFile};

/// How long to wait before trying again to create a file.
const PAUSE: Duration = Duration::from_secs(1);

/// The current file, and the settings for the next one.
pub(super) struct LogFiles {
    folder: PathBuf,
    role: String,
    retention: Retention,
    file: File,
    bytes: u64,
    begun: Time,
    number: u32,
    /// When creating a file last failed. Until it succeeds, lines are dropped, since the limit must
    /// also hold in case of errors.
    failed: Option<Time>,
}

impl LogFiles {
    /// Creates the first file of this process, and removes old files to make room.
    pub(super) fn begin(folder: &Path, role: &str, retention: Retention) -> anyhow::Result<Self> {
        let begun = clock::now();
        let number = next_number(role, &files_in(folder));
        let path = folder.join(name(role, begun, number));
        let file = open(&path)
            .map_err(|error| BadFile::unless_passing(folder, error))
            .with_context(|| format!("creating log file `{}`", path.display()))?;
        let bytes = file.metadata().map_or(0, |data| data.len());
        let (folder, role) = (folder.to_owned(), role.to_owned());
        let files = Self { folder, role, retention, file, bytes, begun, number, failed: None };
        files.remove_surplus();
        Ok(files)
    }

    /// Path of the current file.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(name(&self.role, self.begun, self.number))
    }

    /// Starts another file if the line does not fit. Returns whether the line can be written.
    fn make_room(&mut self, line: usize, now: Time) -> bool {
        if !self.retention.is_full(self.bytes, line) {
            return true;
        }
        if self.failed.is_some_and(|failed| now < failed + PAUSE) {
            return false;
        }
        // Names must sort by time, even if a file is full within a millisecond.
        let begun = now.max(self.begun + Duration::from_millis(1));
        let number = following(self.number);
        match open(&self.folder.join(name(&self.role, begun, number))) {
            Ok(file) => {
                (self.file, self.bytes, self.begun, self.number) = (file, 0, begun, number);
                self.failed = None;
                self.remove_surplus();
                true
            }
            Err(error) => {
                if self.failed.replace(now).is_none() {
                    let _ =
                        writeln!(io::stderr(), "error: failed to create a new log file: {error}");
                }
                false
            }
        }
    }

    fn remove_surplus(&self) {
        let files = files_in(&self.folder);
        let current = name(&self.role, self.begun, self.number);
        for name in self.retention.surplus(&self.role, &current, &files) {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }
}

impl Lines for LogFiles {
    /// Writes consecutive lines of a file at once.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let (mut lost, mut run) = (0, 0..0);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let end = run.end + line.len();
            if self.retention.is_full(self.bytes + run.len() as u64, line.len()) {
                lost += self.append(&lines[run.clone()]);
                run = run.end..run.end;
                if !self.make_room(line.len(), clock::now()) {
                    lost += 1;
                    run = end..end;
                    continue;
                }
            }
            run.end = end;
        }
        lost + self.append(&lines[run])
    }
}

impl LogFiles {
    /// Appends to the current file. Returns the number of lines that were not written completely.
    fn append(&mut self, lines: &[u8]) -> u64 {
        let mut left = lines;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => break,
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.bytes += (lines.len() - left.len()) as u64;
        left.split_inclusive(|byte| *byte == b'\n').count() as u64
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn files_in(folder: &Path) -> Vec<Entry> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| file_of(&entry)).collect()
}

/// A regular file with its size; directories and links are ignored.
fn file_of(entry: &fs::DirEntry) -> Option<Entry> {
    let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    Some(Entry { name: entry.file_name().into_string().ok()?, bytes: data.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Retention = Retention { file: 100, all: 400 };

    /// The contents of all files, ordered by name.
    fn contents(folder: &Path) -> Vec<String> {
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_the_oldest_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::begin(folder.path(), "pcoip-sg", SMALL).unwrap();
        let first = files.path();

        for number in 0..20 {
            assert_eq!(files.write(format!("{number:>39}\n").as_bytes()), 0);
        }

        // Each file has two lines of 40 bytes; the last file and three full ones fit.
        let left: String = contents(folder.path()).concat();
        let lines: Vec<_> = left.lines().map(|line| line.trim().parse::<u32>().unwrap()).collect();
        assert_eq!(lines, (12..20).collect::<Vec<_>>());
        assert!(contents(folder.path()).iter().all(|content| content.len() == 80));
        assert_ne!(files.path(), first);
    }

    #[test]
    fn lines_of_one_batch_go_into_several_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::begin(folder.path(), "pcoip-sg", SMALL).unwrap();
        let batch: String = (0..7).map(|number| format!("{number:>39}\n")).collect();

        assert_eq!(files.write(batch.as_bytes()), 0);

        let contents = contents(folder.path());
        assert_eq!(contents.concat(), batch);
        assert_eq!(contents.iter().map(String::len).collect::<Vec<_>>(), [80, 80, 80, 40]);
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::begin(folder.path(), "pcoip-sg", SMALL).unwrap();
        files.file = OpenOptions::new().write(true).open("/dev/full").unwrap();

        assert_eq!((files.write(b"1\n2\n3\n"), files.bytes), (3, 0));
    }

    #[test]
    fn a_start_only_removes_files_that_do_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: usize| {
            let mut file = File::create(folder.path().join(name)).unwrap();
            file.write_all(&vec![b'x'; bytes]).unwrap();
        };
        file("pcoip-sg_2020_01_01T00_00_00_000Z.log", 200);
        file("pcoip-sg_2021_01_01T00_00_00_000Z.log", 299);
        file("pcoip-sg_2019_01_01T00_00_00_000Z.log.1", 5000);
        fs::create_dir(folder.path().join("pcoip-sg_2018_01_01T00_00_00_000Z.log")).unwrap();

        let files = LogFiles::begin(folder.path(), "pcoip-sg", SMALL).unwrap();

        assert!(!folder.path().join("pcoip-sg_2020_01_01T00_00_00_000Z.log").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        assert!(files.path().exists());
    }

    #[test]
    fn a_missing_directory_only_drops_lines_until_it_exists_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("logs");
        fs::create_dir(&folder).unwrap();
        let mut files = LogFiles::begin(&folder, "pcoip-sg", SMALL).unwrap();
        files.write(&[b'a'; 90]);
        fs::remove_dir_all(&folder).unwrap();

        assert_eq!(files.write(&[b'b'; 90]), 1);
        fs::create_dir(&folder).unwrap();
        assert_eq!(files.write(&[b'c'; 90]), 1);
        let dropped = contents(&folder);
        assert!(files.make_room(90, clock::now() + PAUSE));
        assert_eq!(files.write(&[b'd'; 90]), 0);

        assert!(dropped.is_empty());
        assert_eq!(contents(&folder), ["d".repeat(90)]);
    }
}
