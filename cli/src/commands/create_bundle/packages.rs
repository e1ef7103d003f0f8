//! What `dnf` and `openssl` are asked when a bundle is made.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How often somebody may say that they do not want to wait.
const EVERY: Duration = Duration::from_millis(100);

/// Lets time pass, and tells whether to stop.
pub(crate) type Pause<'p> = dyn FnMut(Duration) -> bool + 'p;

/// Those of these packages that a repository has.
///
/// # Errors
///
/// Where `dnf` does not say.
pub(crate) fn available<'a>(
    names: &[&'a str],
    pause: &mut Pause<'_>,
) -> anyhow::Result<Vec<&'a str>> {
    let format = ["-q", "repoquery", "--available", "--queryformat", "%{name}\n"];
    let told = dnf(&format, names, None, pause)?;
    let found: BTreeSet<_> = told.lines().map(str::trim).collect();
    Ok(names.iter().copied().filter(|name| found.contains(name)).collect())
}

/// Downloads these packages and all that they depend on into a folder, as far as they are not there
/// yet; returns their files.
///
/// # Errors
///
/// Where `dnf` cannot.
pub(crate) fn download(
    names: &[&str],
    folder: &Path,
    pause: &mut Pause<'_>,
) -> anyhow::Result<Vec<PathBuf>> {
    const DOWNLOAD: [&str; 3] = ["download", "--resolve", "--alldeps"];
    // What lies there from the last time may not belong to it any more.
    let told = dnf(&[&["-q"], &DOWNLOAD[..], &["--url"]].concat(), names, None, pause)?;
    let files: BTreeSet<_> = told.lines().filter_map(file_of).collect();
    if files.is_empty() {
        bail!("`dnf` lists no file to download for {}", names.join(", "));
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    dnf(&DOWNLOAD, names, Some(folder), pause)?;
    Ok(files.into_iter().map(|file| folder.join(file)).collect())
}

/// The file's name in a URL.
fn file_of(url: &str) -> Option<&str> {
    let file = url.trim().rsplit('/').next()?;
    file.ends_with(".rpm").then_some(file)
}

fn dnf(
    words: &[&str],
    names: &[&str],
    folder: Option<&Path>,
    pause: &mut Pause<'_>,
) -> anyhow::Result<String> {
    let mut command = Command::new("dnf");
    command.args(words);
    if let Some(folder) = folder {
        command.arg("--destdir").arg(folder);
    }
    let output = run(command.args(names), pause)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        bail!("`dnf {}` failed: {}", words.join(" "), said.join("; "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(command: &mut Command, pause: &mut Pause<'_>) -> anyhow::Result<Output> {
    let name = command.get_program().display().to_string();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.map_err(|why| match why.kind() {
        io::ErrorKind::NotFound => anyhow!("`{name}` is not on the search path"),
        _ => anyhow!(why).context(format!("starting `{name}`")),
    })?;
    let pid = child.id();
    let waiting = thread::spawn(|| child.wait_with_output());
    while !waiting.is_finished() {
        if pause(EVERY) {
            let _ = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
            let _ = waiting.join();
            bail!(Interrupted);
        }
    }
    let output = waiting.join().map_err(|_| anyhow!("waiting for `{name}`"))?;
    output.with_context(|| format!("waiting for `{name}`"))
}

/// Somebody does not want to wait any longer.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Signs bytes as `openssl dgst -sha256 -verify` verifies them.
///
/// # Errors
///
/// What `openssl` complains of.
pub(crate) fn sign(bytes: &[u8], key: &Path) -> io::Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| io::Error::new(why.kind(), format!("starting `openssl`: {why}")))?;
    if let Some(mut input) = child.stdin.take() {
        // What it complains of tells more than that it has gone away.
        let _ = io::Write::write_all(&mut input, bytes);
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(io::Error::other(format!("`openssl` cannot sign with `{}`: {said}", key.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_ends_with_the_name_of_its_file() {
        let table = [
            (
                "https://a.example/9/Packages/d/docker-ce-1-1.x86_64.rpm",
                Some("docker-ce-1-1.x86_64.rpm"),
            ),
            ("  http://a/b.rpm ", Some("b.rpm")),
            ("Last metadata expiration check: 0:00:01 ago.", None),
            ("", None),
        ];
        for (line, file) in table {
            assert_eq!(file_of(line), file, "{line}");
        }
    }

    #[test]
    fn a_program_is_stopped_when_nobody_wants_to_wait() {
        let mut sleep = Command::new("sleep");

        let error = run(sleep.arg("1000"), &mut |_| true).unwrap_err();

        assert!(error.is::<Interrupted>(), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program"), &mut |_| false).unwrap_err();

        assert_eq!(error.to_string(), "`no-such-program` is not on the search path");
    }
}
