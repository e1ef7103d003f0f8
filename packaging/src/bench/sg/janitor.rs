//! A process that undoes what the benchmark changed on the host, when the benchmark ends in any
//! way: it notices by its standard input, which closes even if the benchmark is killed.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::Mutex,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{binaries::output, screen};

/// A change of the host, recorded before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum Change {
    /// A network namespace with this name. Its processes are killed.
    Namespace(String),
    /// A kernel setting below `/proc/sys`, with its value before the change.
    Setting { path: PathBuf, before: String },
    /// A temporary directory.
    Folder(PathBuf),
}

/// The running process.
pub(in crate::bench) struct Janitor(Mutex<Option<Connection>>);

struct Connection {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Janitor {
    pub(in crate::bench) fn start() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("locating the executable")?;
        let mut command = Command::new(own);
        command.args(["bench", "sg-janitor"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C must not reach it.
        let mut child = command.process_group(0).spawn().context("starting the clean-up")?;
        let to = child.stdin.take().context("standard input is a pipe")?;
        let from = BufReader::new(child.stdout.take().context("standard output is a pipe")?);
        Ok(Self(Mutex::new(Some(Connection { child, to, from }))))
    }

    /// Records a change and then makes it. Nothing is undone meanwhile.
    pub(in crate::bench) fn make<T>(
        &self,
        change: &Change,
        make: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut connection = self.0.lock().ok().context("another thread panicked")?;
        let Some(Connection { to, from, .. }) = &mut *connection else {
            bail!("the benchmark is ending");
        };
        let line = serde_json::to_string(change).context("recording a change")?;
        writeln!(to, "{line}").context("recording a change")?;
        let mut answer = String::new();
        from.read_line(&mut answer).context("recording a change")?;
        if answer.is_empty() {
            bail!("the clean-up process ended");
        }
        make()
    }

    /// Undoes all changes. Later ones are refused.
    pub(in crate::bench) fn finish(&self) {
        let connection = self.0.lock().ok().and_then(|mut connection| connection.take());
        if let Some(Connection { mut child, to, .. }) = connection {
            drop(to);
            let _ = child.wait();
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The process itself: reads changes until its standard input closes, and then undoes them.
pub(in crate::bench) fn run() -> ExitCode {
    let mut changes = Vec::new();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let Ok(change) = serde_json::from_str::<Change>(&line) else { break };
        changes.push(change);
        screen::data("recorded");
    }
    for change in changes.iter().rev() {
        if let Err(error) = undo(change) {
            screen::error(&error.context(format!("undoing {change:?}")));
        }
    }
    ExitCode::SUCCESS
}

fn undo(change: &Change) -> anyhow::Result<()> {
    match change {
        Change::Namespace(name) => remove_namespace(name),
        Change::Setting { path, before } => write_setting(path, before),
        Change::Folder(path) if path.exists() => {
            std::fs::remove_dir_all(path).context("removing a temporary folder")
        }
        Change::Folder(_) => Ok(()),
    }
}

fn remove_namespace(name: &str) -> anyhow::Result<()> {
    if !Path::new("/run/netns").join(name).exists() {
        return Ok(());
    }
    let pids = output(Command::new("ip").args(["netns", "pids", name]))?;
    for pid in String::from_utf8_lossy(&pids).lines() {
        if let Ok(pid) = pid.trim().parse() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    output(Command::new("ip").args(["netns", "delete", name])).map(drop)
}

/// Writes a kernel setting.
pub(in crate::bench) fn write_setting(path: &Path, value: &str) -> anyhow::Result<()> {
    let written = OpenOptions::new().write(true).open(path);
    let written = written.and_then(|mut file| file.write_all(value.as_bytes()));
    written.with_context(|| format!("writing `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_folder_is_removed_and_may_be_gone() {
        let folder = tempfile::tempdir().unwrap().keep();
        let change = Change::Folder(folder.clone());

        undo(&change).unwrap();
        assert!(!folder.exists());
        undo(&change).unwrap();
    }

    #[test]
    fn a_setting_gets_its_old_value() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let change = Change::Setting { path: file.path().to_owned(), before: "212992".to_owned() };

        let line = serde_json::to_string(&change).unwrap();
        undo(&serde_json::from_str(&line).unwrap()).unwrap();

        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "212992");
    }
}
