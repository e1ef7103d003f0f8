//! Asks firewalld, with a time limit, and not at all where it cannot answer.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use super::{DEFINITION, FIRST_DEFAULT, Firewall, Rules, Zone};
use crate::{files, installation::firewall::SERVICE};

/// firewalld answers within half a second, unless it is starting or the machine is busy.
const WAIT: Duration = Duration::from_secs(10);
/// The rules of a few dozen zones are far smaller.
const MAX_BYTES: u64 = 1024 * 1024;
/// What firewalld is asked through.
const BUS: &str = "/run/dbus/system_bus_socket";
const SETTINGS: &str = "/etc/firewalld/firewalld.conf";
/// Where systemd notes what starts with the machine.
const UNITS: &str = "/etc/systemd/system";

impl Firewall {
    /// Asks firewalld; none where it neither runs nor starts with the machine. Its files are asked
    /// for where they may be changed.
    pub(in crate::host::machine) fn ask(is_prepared: bool) -> Option<Self> {
        let running = || Some(Tool { program: "firewall-cmd", words: &[] }).filter(|_| has_bus());
        let now = thread::spawn(move || running()?.rules());
        let files = || Tool { program: "firewall-cmd", words: &["--permanent"] };
        let kept = if is_prepared && has_bus() { files().rules() } else { None };
        let now = now.join().ok().flatten();
        let starts = || starts_with_machine() || Path::new(DEFINITION).exists();
        let kept = match kept {
            None if is_prepared && now.is_none() && starts() => {
                Tool { program: "firewall-offline-cmd", words: &[] }.rules()
            }
            kept => kept,
        };
        (now.is_some() || kept.is_some()).then_some(Self { now, kept })
    }
}

fn has_bus() -> bool {
    Path::new(BUS).exists()
}

fn starts_with_machine() -> bool {
    let wants = fs::read_dir(UNITS).into_iter().flatten().flatten().map(|entry| entry.path());
    let wants = wants.filter(|path| path.extension().is_some_and(|e| e == "wants"));
    wants.into_iter().any(|folder| folder.join("firewalld.service").symlink_metadata().is_ok())
}

/// The zone of everything that is in no other.
fn default_zone() -> String {
    let text = files::read(Path::new(SETTINGS)).map(|content| content.text()).unwrap_or_default();
    let value = text.lines().find_map(|line| line.trim().strip_prefix("DefaultZone="));
    value.map(str::trim).filter(|zone| !zone.is_empty()).unwrap_or(FIRST_DEFAULT).to_owned()
}

/// What tells one of the sets of rules.
#[derive(Clone, Copy)]
struct Tool {
    program: &'static str,
    words: &'static [&'static str],
}

impl Tool {
    fn rules(self) -> Option<Rules> {
        let mut rules = Rules::parse(&self.tell(&["--list-all-zones"])?, &default_zone());
        if rules.zones.iter().any(Zone::has_our_service) || Path::new(DEFINITION).exists() {
            rules.service = self.service().unwrap_or_default();
        }
        Some(rules)
    }

    /// The ports of our service.
    fn service(self) -> Option<Vec<String>> {
        let told = self.tell(&[&format!("--info-service={SERVICE}")])?;
        let line = told.lines().find_map(|line| line.trim().strip_prefix("ports:"))?;
        Some(line.split_whitespace().map(str::to_owned).collect())
    }

    fn tell(self, words: &[&str]) -> Option<String> {
        let mut child = Command::new(self.program)
            .args(self.words)
            .args(words)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let output = child.stdout.take()?;
        let (answer, answered) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            let read = output.take(MAX_BYTES).read_to_string(&mut text);
            let _ = answer.send(read.is_ok().then_some(text));
        });
        let text = answered.recv_timeout(WAIT).ok().flatten();
        if text.is_none() {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
        }
        let status = child.wait().ok()?;
        text.filter(|_| status.success())
    }
}
