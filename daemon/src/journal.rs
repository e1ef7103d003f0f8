//! The file that lets sessions survive a restart or a crash of a role. Records of changes are
//! appended to it in the background, and it is replaced when it has become too large.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use nix::fcntl::OFlag;
use tracing::{info, warn};

pub(crate) use queue::{JournalQueue, State};
pub(crate) use writer::Keeper;

mod queue;
#[cfg(test)]
mod tests;
mod writer;

/// Path of a journal. While it is written, `.new` is appended; an unreadable journal is renamed to
/// `.damaged`.
#[derive(Debug, Clone)]
pub(crate) struct JournalFile {
    folder: PathBuf,
    name: &'static str,
}

/// A file that is appended to between replacements.
pub(crate) trait Append: Send + 'static {
    /// Replaces the content. After a crash at any point, the file has either the old or the new
    /// content.
    fn replace(&mut self, bytes: &[u8]) -> anyhow::Result<()>;

    /// Appends to the content of the last successful [`Append::replace`], and waits for the disk.
    /// After a failure, the file must be replaced: a second attempt to write the same pages may
    /// succeed although they are lost.
    fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()>;
}

/// A [`JournalFile`] that is appended to.
#[derive(Debug)]
pub(crate) struct AppendedFile {
    file: JournalFile,
    open: Option<File>,
}

/// Changes within this time are written together.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait after a failed write.
const AGAIN: Duration = Duration::from_secs(5);

impl JournalFile {
    pub(crate) fn new(folder: impl Into<PathBuf>, name: &'static str) -> Self {
        Self { folder: folder.into(), name }
    }

    /// Reads the state from before the restart, at most `limit` bytes. An unreadable file is
    /// renamed, since a role without its old sessions is better than none.
    fn load<T, E>(&self, limit: usize, parse: fn(&[u8]) -> Result<T, E>) -> T
    where
        T: Default,
        E: std::error::Error + Send + Sync + 'static,
    {
        let read = self.read(limit).map_err(anyhow::Error::from);
        let parsed = read.and_then(|bytes| match bytes {
            Some(bytes) => Ok(parse(&bytes)?),
            None => Ok(T::default()),
        });
        parsed.unwrap_or_else(|error| {
            let (file, error) = (self.path("").display().to_string(), format!("{error:#}"));
            warn!(
                file,
                error, "The sessions from before the restart are lost; their file was renamed"
            );
            self.rename_damaged();
            T::default()
        })
    }

    /// Keeps the damaged file until the next one replaces `.damaged`.
    fn keep_damaged(&self) {
        let _ = fs::remove_file(self.path(".damaged"));
        // A link leaves the file in place until it is replaced.
        if fs::hard_link(self.path(""), self.path(".damaged")).is_err() {
            self.rename_damaged();
        }
    }

    fn rename_damaged(&self) {
        let file = self.path("");
        if let Err(error) = fs::rename(&file, self.path(".damaged")) {
            warn!(file = %file.display(), %error, "Failed to rename the file");
        }
    }

    /// The content of the file, if it exists.
    pub(crate) fn read(&self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        // Neither a symbolic link is followed nor does a FIFO block the start.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(self.path(""));
        let file = match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Returns the file, open for writing at its end. After a crash at any point, the file has
    /// either the old or the new content.
    pub(crate) fn replace(&self, bytes: &[u8]) -> io::Result<File> {
        let new = self.path(".new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.path(""))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(file)
    }

    fn writing(&self) -> String {
        format!("writing `{}`", self.path("").display())
    }

    pub(crate) fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.name))
    }
}

impl AppendedFile {
    pub(crate) fn new(file: JournalFile) -> Self {
        Self { file, open: None }
    }
}

impl Append for AppendedFile {
    fn replace(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.open = None;
        self.open = Some(self.file.replace(bytes).with_context(|| self.file.writing())?);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut file = self.open.take().context("the file was not replaced after a failure")?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        written.with_context(|| self.file.writing())?;
        self.open = Some(file);
        Ok(())
    }
}

/// Logs the first failure, and the first success after failures.
fn log_change(written: &anyhow::Result<()>, failing: &mut bool) {
    match written {
        Err(error) if !*failing => {
            let error = format!("{error:#}");
            warn!(error, "Failed to persist the sessions; a restart would end them");
        }
        Ok(()) if *failing => info!("The sessions are persisted again"),
        _ => {}
    }
    *failing = written.is_err();
}
