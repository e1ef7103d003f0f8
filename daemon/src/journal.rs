//! The file that lets sessions survive a restart or a crash of the role. The Connection Manager
//! replaces it as a whole, in the background of requests; the Security Gateway appends to it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::fcntl::OFlag;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait after a failed write.
pub(crate) const AGAIN: Duration = Duration::from_secs(5);

impl JournalFile {
    pub(crate) fn new(folder: impl Into<PathBuf>, name: &'static str) -> Self {
        Self { folder: folder.into(), name }
    }

    /// Reads the state from before the restart, at most `limit` bytes. An unreadable file is
    /// renamed, since a role without its old sessions is better than none.
    pub(crate) fn load<T, E>(&self, limit: usize, parse: fn(&[u8]) -> Result<T, E>) -> T
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
    pub(crate) fn keep_damaged(&self) {
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

    /// Writes immediately, so that an unwritable directory is noticed early, then after every
    /// change, and once more at the end.
    ///
    /// `settled` is notified of each revision that was written or failed. The argument of `render`
    /// is whether it is the last write.
    pub(crate) async fn keep<T: Copy>(
        self,
        mut changes: watch::Receiver<T>,
        settled: watch::Sender<T>,
        render: impl Fn(bool) -> Vec<u8> + Send + Sync + 'static,
        end: CancellationToken,
    ) {
        let render = Arc::new(render);
        changes.mark_changed();
        let mut failing = false;
        while end.run_until_cancelled(changes.changed()).await.is_some_and(|known| known.is_ok()) {
            let started = Instant::now();
            let change = *changes.borrow_and_update();
            let written = self.write(&render, false).await;
            log_change(&written, &mut failing);
            settled.send_replace(change);
            let pause = match written {
                // A slow disk is left alone for as long as the write took.
                Ok(()) => PAUSE.max(started.elapsed()),
                Err(_) => {
                    changes.mark_changed();
                    AGAIN
                }
            };
            end.run_until_cancelled(sleep(pause)).await;
        }
        log_change(&self.write(&render, true).await, &mut failing);
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

    async fn write<F>(&self, render: &Arc<F>, is_last: bool) -> anyhow::Result<()>
    where
        F: Fn(bool) -> Vec<u8> + Send + Sync + 'static,
    {
        let (file, render) = (self.clone(), Arc::clone(render));
        let writing = spawn_blocking(move || {
            file.replace(&render(is_last)).map(drop).with_context(|| file.writing())
        });
        writing.await.context("the write was interrupted")?
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
pub(crate) fn log_change(written: &anyhow::Result<()>, failing: &mut bool) {
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
