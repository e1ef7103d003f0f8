//! The log files of a role. Lines are written to the newest file; a full one is followed by
//! another, and each day begins with another. Older ones are compressed. Errors are not reported to the caller, since a full disk must not stop a role.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use cmsg_proto::Time;
use flate2::{Compression, write::GzEncoder};
use nix::sys::statvfs::statvfs;

use super::{
    retention::{
        Entry, GZIP, INCOMPLETE, Retention, day, following, is_incomplete, name, next_number,
        uncompressed,
    },
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
    /// The day on which it was created. It may differ from that of `begun`.
    day: u64,
    number: u32,
    /// Compresses files that are not written any more.
    compressing: Option<JoinHandle<()>>,
    /// When creating a file last failed. Until it succeeds, lines are dropped, since the limit must
    /// also hold in case of errors.
    failed: Option<Time>,
}

impl LogFiles {
    /// Creates the first file of this process, and removes old files to make room.
    pub(super) fn begin(folder: &Path, role: &str, retention: Retention) -> anyhow::Result<Self> {
        let begun = clock::now();
        let existing = files_in(folder);
        let number = next_number(role, &existing);
        let path = folder.join(name(role, begun, number));
        let file = open(&path)
            .map_err(|error| BadFile::unless_passing(folder, error))
            .with_context(|| format!("creating log file `{}`", path.display()))?;
        let bytes = file.metadata().map_or(0, |data| data.len());
        let (folder, role) = (folder.to_owned(), role.to_owned());
        for Entry { name, .. } in existing.iter().filter(|it| is_incomplete(&role, &it.name)) {
            let _ = fs::remove_file(folder.join(name));
        }
        let (day, compressing, failed) = (day(begun), None, None);
        let mut files =
            Self { folder, role, retention, file, bytes, begun, day, number, compressing, failed };
        files.clean_up();
        Ok(files)
    }

    /// Path of the current file.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(name(&self.role, self.begun, self.number))
    }

    /// Whether the line belongs into another file. `waiting` bytes are about to be written to this
    /// one.
    fn is_over(&self, waiting: usize, line: usize, now: Time) -> bool {
        let bytes = self.bytes + waiting as u64;
        self.retention.is_full(bytes, line) || bytes > 0 && day(now) != self.day
    }

    /// Starts another file if the line belongs there. Returns whether the line can be written.
    fn make_room(&mut self, line: usize, now: Time) -> bool {
        if !self.is_over(0, line, now) {
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
                (self.day, self.failed) = (day(now), None);
                self.clean_up();
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

    /// Removes files to make room, and compresses the others in the background.
    fn clean_up(&mut self) {
        let files = files_in(&self.folder);
        let current = name(&self.role, self.begun, self.number);
        for name in self.retention.surplus(&self.role, &current, &files) {
            let _ = fs::remove_file(self.folder.join(name));
        }
        if self.compressing.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let (folder, role) = (self.folder.clone(), self.role.clone());
        let compressing = thread::Builder::new().name("log-gzip".to_owned()).spawn(move || {
            for name in uncompressed(&role, &current, &files_in(&folder)) {
                // The next file tries again.
                let _ = compress(&folder.join(name));
            }
        });
        self.compressing = compressing.ok();
    }
}

impl Lines for LogFiles {
    /// Writes consecutive lines of a file at once.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let (mut lost, mut run) = (0, 0..0);
        let now = clock::now();
        if self.bytes == 0 {
            self.day = day(now);
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let end = run.end + line.len();
            if self.is_over(run.len(), line.len(), now) {
                lost += self.append(&lines[run.clone()]);
                run = run.end..run.end;
                if !self.make_room(line.len(), now) {
                    lost += 1;
                    run = end..end;
                    continue;
                }
            }
            run.end = end;
        }
        lost + self.append(&lines[run])
    }

    fn free(&self) -> Option<u64> {
        let found = statvfs(&self.folder).ok()?;
        Some(found.blocks_available() * found.fragment_size())
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

/// Replaces a file by its compressed content. After a crash at any point, either is complete.
fn compress(path: &Path) -> io::Result<()> {
    let with = |suffix: &str| {
        let mut path = path.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let new = with(INCOMPLETE);
    let compressed = (|| {
        let options = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
        let mut encoder = GzEncoder::new(options()?, Compression::default());
        io::copy(&mut File::open(path)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::rename(&new, with(GZIP))?;
        fs::remove_file(path)
    })();
    if compressed.is_err() {
        let _ = fs::remove_file(new);
    }
    compressed
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
    use std::{collections::BTreeMap, io::Read as _};

    use flate2::read::GzDecoder;

    use super::*;

    const SMALL: Retention = Retention { file: 100, all: 400, count: 100 };

    /// The contents of all files, ordered by name. Files may be compressed at this moment.
    fn contents(folder: &Path) -> Vec<String> {
        let mut contents = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(bytes) = fs::read(&path) else { continue };
            let mut text = String::new();
            let read = match path.extension().and_then(|it| it.to_str()) {
                Some("gz") => GzDecoder::new(bytes.as_slice()).read_to_string(&mut text),
                Some("log") => bytes.as_slice().read_to_string(&mut text),
                _ => continue,
            };
            read.unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            contents.insert(name.trim_end_matches(GZIP).to_owned(), text);
        }
        contents.into_values().collect()
    }

    fn compressed(files: &mut LogFiles) {
        files.compressing.take().into_iter().for_each(|thread| thread.join().unwrap());
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
    fn files_that_are_not_written_any_more_are_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let roomy = Retention { file: 2 << 20, all: 10 << 20, count: 100 };
        let mut files = LogFiles::begin(folder.path(), "pcoip-sg", roomy).unwrap();
        let first = files.path();
        let mut partial = first.as_os_str().to_owned();
        partial.push(INCOMPLETE);
        let line = [b"a".repeat(1 << 20), b"\n".to_vec()].concat();

        files.write(&line);
        files.write(&line);
        compressed(&mut files);

        let mut expected = first.clone().into_os_string();
        expected.push(GZIP);
        let data = fs::metadata(&expected).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o777, 0o600);
        assert!(!first.exists() && files.path().exists());
        assert_eq!(contents(folder.path()).concat().into_bytes(), line.repeat(2));

        // A process that was killed while it compressed a file leaves both.
        File::create(&partial).unwrap();
        fs::rename(&expected, folder.path().join("kept")).unwrap();
        File::create(&first).unwrap().write_all(&line).unwrap();
        let mut files = LogFiles::begin(folder.path(), "pcoip-sg", roomy).unwrap();
        compressed(&mut files);
        assert!(!Path::new(&partial).exists() && !first.exists());
        assert_eq!(contents(folder.path()).concat().into_bytes(), line.repeat(2));
    }

    #[test]
    fn a_day_begins_with_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::begin(folder.path(), "pcoip-sg", SMALL).unwrap();
        let path = files.path();
        files.day -= 1;
        files.write(b"1\n");
        files.write(b"2\n");
        assert_eq!(files.path(), path, "it was empty");

        files.day -= 1;
        files.write(b"3\n");
        assert_ne!(files.path(), path);
        files.write(b"4\n");
        // The clock was set to a later day and back.
        files.day += 1;
        files.write(b"5\n");
        files.write(b"6\n");

        compressed(&mut files);
        assert_eq!(contents(folder.path()), ["1\n2\n", "3\n4\n", "5\n6\n"]);
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
