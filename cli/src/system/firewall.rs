//! Changes rules of firewalld: through its daemon, and in its files where that does not run.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use super::real::replace;
use crate::{
    host::machine::firewall::DEFINITION,
    installation::firewall::{Edit, Entry, SERVICE, Scope},
};

/// What a service looks like to firewalld.
const TEMPLATE: &str = include_str!("../../../packaging/firewalld/pcoip-cmsg.xml");
/// The template with its ports, while firewalld reads it; it takes the service's name from it.
const RENDERED: &str = "/run/pcoip-cmsg.xml";

/// What `firewall-cmd` ends with where there is no bus to ask through.
const NO_BUS: i32 = 36;
const INVALID_SERVICE: i32 = 101;
const NOT_RUNNING: i32 = 252;

/// What steps do to firewalld.
pub(crate) trait FirewallSystem {
    /// Makes a change, unless it is made.
    fn edit_firewall(&mut self, edit: &Edit) -> anyhow::Result<()>;
}

impl FirewallSystem for super::Real {
    fn edit_firewall(&mut self, edit: &Edit) -> anyhow::Result<()> {
        match edit {
            Edit::Define { after, .. } => define(after),
            Edit::Add(entry) => change("add", entry),
            Edit::Remove(entry) => change("remove", entry),
        }
    }
}

/// An answer of firewalld.
struct Answer {
    code: Option<i32>,
    told: String,
    /// The command, and what it complained of.
    complaint: String,
}

impl Answer {
    fn is(&self, code: i32) -> bool {
        self.code == Some(code)
    }

    fn or_fail(self) -> anyhow::Result<()> {
        if self.is(0) { Ok(()) } else { bail!("{}", self.complaint) }
    }
}

/// Has the service stand for these ports.
fn define(ports: &[String]) -> anyhow::Result<()> {
    let one = format!("--service={SERVICE}");
    let present = kept(&[&one, "--get-ports"])?;
    if ports.is_empty() {
        if !present.is(INVALID_SERVICE) {
            kept(&[&format!("--delete-service={SERVICE}")])?.or_fail()?;
        }
        // firewalld keeps a copy of what it deletes.
        return forget(&format!("{DEFINITION}.old"));
    }
    if present.is(INVALID_SERVICE) {
        return make(ports);
    }
    let told = present.told.clone();
    present.or_fail()?;
    let present: Vec<&str> = told.split_whitespace().collect();
    for port in ports.iter().filter(|port| !present.contains(&port.as_str())) {
        kept(&[&one, &format!("--add-port={port}")])?.or_fail()?;
    }
    for port in present.into_iter().filter(|port| !ports.iter().any(|other| other == port)) {
        kept(&[&one, &format!("--remove-port={port}")])?.or_fail()?;
    }
    Ok(())
}

fn make(ports: &[String]) -> anyhow::Result<()> {
    let rendered = render(ports);
    let path = Path::new(RENDERED);
    replace(path, 0o644, |file| std::io::copy(&mut rendered.as_bytes(), file))?;
    let made = kept(&[&format!("--new-service-from-file={RENDERED}")]);
    forget(RENDERED)?;
    made?.or_fail()
}

/// The service as firewalld reads it.
fn render(ports: &[String]) -> String {
    let line = |port: &String| {
        let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        format!("  <port protocol=\"{protocol}\" port=\"{port}\"/>")
    };
    TEMPLATE.replace("@PORTS@", &ports.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn forget(path: &str) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove `{path}`"))
        }
        _ => Ok(()),
    }
}

fn change(verb: &str, entry: &Entry) -> anyhow::Result<()> {
    let zone = format!("--zone={}", entry.zone);
    let (kind, value) = entry.rule.words();
    let word = format!("--{verb}-{kind}={value}");
    if entry.scope == Scope::Kept {
        return kept(&[&zone, &word])?.or_fail();
    }
    let answer = ask("firewall-cmd", &[&zone, &word])?;
    // It begins with what is in its files. What it does not know it lets nobody in by.
    let is_done = answer.is(NOT_RUNNING)
        || answer.is(NO_BUS)
        || (answer.is(INVALID_SERVICE) && verb == "remove");
    if is_done { Ok(()) } else { answer.or_fail() }
}

/// Changes or reads the rules in firewalld's files, through its daemon where that runs.
fn kept(words: &[&str]) -> anyhow::Result<Answer> {
    let answer = ask("firewall-cmd", &[&["--permanent"], words].concat())?;
    if !answer.is(NOT_RUNNING) && !answer.is(NO_BUS) {
        return Ok(answer);
    }
    // That word is one of another tool's for this one.
    let own = format!("--remove-service={SERVICE}");
    let other = format!("--remove-service-from-zone={SERVICE}");
    let words: Vec<_> =
        words.iter().map(|word| if *word == own { &other } else { *word }).collect();
    ask("firewall-offline-cmd", &words)
}

fn ask(program: &str, words: &[&str]) -> anyhow::Result<Answer> {
    let mut command = Command::new(program);
    let output = command.args(words).env("LC_ALL", "C").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("failed to run `{program}`"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().replace(char::is_control, " ");
    Ok(Answer {
        code: output.status.code(),
        told: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaint: format!("`{program} {}` ended with {}: {said}", words.join(" "), output.status),
    })
}

#[cfg(test)]
impl FirewallSystem for super::recorder::Recorder {
    fn edit_firewall(&mut self, edit: &Edit) -> anyhow::Result<()> {
        self.note(match edit {
            Edit::Define { after, .. } => format!("define {}", after.join(" ")),
            Edit::Add(entry) => format!("allow {}", named(entry)),
            Edit::Remove(entry) => format!("forbid {}", named(entry)),
        })?;
        self.state.firewall.edit(edit);
        Ok(())
    }
}

#[cfg(test)]
fn named(Entry { scope, zone, rule }: &Entry) -> String {
    format!("{scope:?} {zone} {}", rule.words().1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_has_the_ports_in_firewalld_s_words() {
        let rendered = render(&["443/tcp".to_owned(), "4172/udp".to_owned()]);

        let ports: Vec<_> = rendered.lines().filter(|line| line.contains("<port")).collect();
        assert_eq!(
            ports,
            ["  <port protocol=\"tcp\" port=\"443\"/>", "  <port protocol=\"udp\" port=\"4172\"/>"]
        );
        assert!(rendered.starts_with("<?xml") && !rendered.contains('@'));
    }
}
