//! The file that lets sessions outlive their gateway, killed or not. It is replaced as a whole, off
//! the path of announcements and datagrams. No tag and no key stands in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cmsg_proto::gateway::Journal;
use nix::fcntl::OFlag;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::gate::Gate;

/// The file in the data folder.
pub(super) const FILE: &str = "security-gateway.journal";

/// The file while it is written.
pub(super) const NEW: &str = "security-gateway.journal.new";

/// What could not be read.
pub(super) const DAMAGED: &str = "security-gateway.journal.damaged";

/// Changes of this time are written together.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// What was written before the restart. What cannot be read is set aside, since a gateway without
/// its old sessions is better than none.
pub(super) fn load(folder: &Path) -> Journal {
    let path = folder.join(FILE);
    match read(&path) {
        Ok(journal) => journal.unwrap_or_default(),
        Err(error) => {
            let (file, error) = (path.display(), format!("{error:#}"));
            warn!(%file, error, "The sessions of before are lost; their file is set aside");
            if let Err(error) = fs::rename(&path, folder.join(DAMAGED)) {
                warn!(%file, %error, "Cannot set the file aside");
            }
            Journal::default()
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Option<Journal>> {
    // Whatever lies there, it neither leads elsewhere nor makes the start wait.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(Journal::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(Journal::parse(&bytes)?))
}

/// Writes what the start changed, then whenever sessions have changed, and a last time at the end.
pub(super) async fn keep(gate: Arc<Gate>, folder: PathBuf, end: CancellationToken) {
    let mut revisions = gate.revisions();
    revisions.mark_changed();
    let mut failing = false;
    while end.run_until_cancelled(revisions.changed()).await.is_some() {
        let started = Instant::now();
        let written = write(&gate, &folder).await;
        tell(&written, &mut failing);
        let pause = match written {
            // A slow disk has as much time for others.
            Ok(()) => PAUSE.max(started.elapsed()),
            Err(_) => {
                revisions.mark_changed();
                AGAIN
            }
        };
        end.run_until_cancelled(sleep(pause)).await;
    }
    tell(&write(&gate, &folder).await, &mut failing);
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

async fn write(gate: &Arc<Gate>, folder: &Path) -> anyhow::Result<()> {
    let (gate, folder) = (Arc::clone(gate), folder.to_owned());
    let writing = spawn_blocking(move || {
        let bytes = gate.journal().render();
        replace(&folder, &bytes)
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
    fs::rename(&new, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}
