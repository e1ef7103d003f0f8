//! The file that lets sessions outlive their process, killed or not. It is replaced as a whole, off
//! the path of requests, and what stands in it only clients' cookies open.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cmsg_proto::broker::session::Journal;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{shared::Shared, trail::as_error};

/// The file in the data folder.
pub(super) const FILE: &str = "connection-manager.sessions";

/// The file while it is written.
pub(super) const NEW: &str = "connection-manager.sessions.new";

/// What could not be read.
pub(super) const DAMAGED: &str = "connection-manager.sessions.damaged";

/// Changes of this time are written together.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer than writing the pause is at least: a large file must not keep a disk busy.
const PAUSE_FACTOR: u32 = 9;

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// What was written before the restart. What cannot be read is set aside, since a Connection Manager
/// without its old sessions is better than none.
pub(super) fn load(folder: &Path) -> Journal {
    let path = folder.join(FILE);
    match read(&path) {
        Ok(journal) => journal.unwrap_or_default(),
        Err(error) => {
            let (file, error) = (path.display(), format!("{error:#}"));
            warn!(%file, error, "The sessions of before are lost; their file is set aside");
            if let Err(error) = fs::rename(&path, folder.join(DAMAGED)) {
                warn!(%file, error = as_error(&error), "Cannot set the file aside");
            }
            Journal::default()
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Option<Journal>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(Journal::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(Journal::parse(&bytes)?))
}

/// Writes whenever sessions have changed, and a last time at the end.
pub(super) async fn keep(shared: Arc<Shared>, end: CancellationToken) {
    let mut failing = false;
    while end.run_until_cancelled(shared.changed.notified()).await.is_some() {
        let started = Instant::now();
        let written = write(&shared).await;
        tell(&written, &mut failing);
        let pause = match written {
            Ok(()) => PAUSE.max(started.elapsed() * PAUSE_FACTOR),
            Err(_) => {
                shared.changed.notify_one();
                AGAIN
            }
        };
        end.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    tell(&write(&shared).await, &mut failing);
}

/// Says once that it does not work, and once that it does again.
fn tell(written: &anyhow::Result<()>, failing: &mut bool) {
    match written {
        Err(error) if !*failing => {
            let error = format!("{error:#}");
            warn!(error, "Cannot write the sessions down; a restart would end them");
        }
        Ok(()) if *failing => info!("The sessions are written down again"),
        _ => {}
    }
    *failing = written.is_err();
}

async fn write(shared: &Arc<Shared>) -> anyhow::Result<()> {
    let shared = Arc::clone(shared);
    let writing = tokio::task::spawn_blocking(move || {
        let folder = &shared.config.data_directory;
        let bytes = shared.journal().render();
        replace(folder, &bytes)
            .with_context(|| format!("writing `{}`", folder.join(FILE).display()))
    });
    writing.await.context("writing was broken off")?
}

/// Killed at any instant, it leaves the old file or the new one.
fn replace(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(NEW);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(FILE))
}
