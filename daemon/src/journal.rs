//! The file that lets what a role promised outlive its process, killed or not. It is replaced as a
//! whole, off the path of requests and datagrams.

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

/// Where a journal lies: while it is written with `.new` behind its name, and with `.damaged` where
/// it could not be read.
#[derive(Debug, Clone)]
pub(crate) struct JournalFile {
    folder: PathBuf,
    name: &'static str,
}

/// Changes of this time are written together.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);

impl JournalFile {
    pub(crate) fn new(folder: impl Into<PathBuf>, name: &'static str) -> Self {
        Self { folder: folder.into(), name }
    }

    /// What was written before the restart, of at most so many bytes. What cannot be read is set
    /// aside, since a role without its old sessions is better than none.
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
            if let Err(error) = fs::rename(self.path(""), self.path(".damaged")) {
                warn!(file, %error, "Failed to rename the file");
            }
            T::default()
        })
    }

    /// Writes at once, so that a folder that cannot be written shows early, then whenever something
    /// has changed, and a last time at the end.
    ///
    /// Each change that was written, or could not be, is told in `settled`. `render` is told whether
    /// it is the last time.
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
            tell(&written, &mut failing);
            settled.send_replace(change);
            let pause = match written {
                // A slow disk has as much time for others.
                Ok(()) => PAUSE.max(started.elapsed()),
                Err(_) => {
                    changes.mark_changed();
                    AGAIN
                }
            };
            end.run_until_cancelled(sleep(pause)).await;
        }
        tell(&self.write(&render, true).await, &mut failing);
    }

    /// The bytes of the file, if there is one.
    pub(crate) fn read(&self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        // Whatever lies there, it neither leads elsewhere nor makes the start wait.
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
            let written = file.replace(&render(is_last));
            written.with_context(|| format!("writing `{}`", file.path("").display()))
        });
        writing.await.context("the write was interrupted")?
    }

    /// Killed at any instant, it leaves the old file or the new one.
    pub(crate) fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path(".new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.path(""))?;
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.name))
    }
}

/// Says once that it does not work, and once that it does again.
fn tell(written: &anyhow::Result<()>, failing: &mut bool) {
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
