//! The rules of firewalld, asked for with a time limit, and not at all where it cannot answer.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

/// firewalld answers within half a second, unless it is starting.
const WAIT: Duration = Duration::from_secs(3);
/// The rules of a few dozen zones are far smaller.
const MAX_BYTES: u64 = 1024 * 1024;
/// What firewalld is asked through.
const BUS: &str = "/run/dbus/system_bus_socket";

/// The zones that some interface or source is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Firewall {
    /// Each with its rules.
    pub(crate) zones: Vec<Zone>,
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Zone {
    /// Its name.
    pub(crate) name: String,
    /// What happens to what no rule lets in.
    pub(crate) target: String,
    /// What is let in by the name of a service.
    pub(crate) services: Vec<String>,
    /// What is let in by port: `443/tcp`, `1000-2000/udp`.
    pub(crate) ports: Vec<String>,
    /// What is sent elsewhere: `port=443:proto=tcp:toport=8443:toaddr=`.
    pub(crate) forwards: Vec<String>,
    /// Rules in words: `rule family="ipv6" port port="443" protocol="tcp" accept`.
    pub(crate) rules: Vec<String>,
}

impl Firewall {
    /// Asks firewalld; none where it does not run or does not answer.
    pub(super) fn ask() -> Option<Self> {
        if !Path::new(BUS).exists() {
            return None;
        }
        let mut child = Command::new("firewall-cmd")
            .arg("--list-all-zones")
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
        Some(Self::parse(&text.filter(|_| status.success())?))
    }

    /// Reads what `firewall-cmd --list-all-zones` tells.
    pub(crate) fn parse(text: &str) -> Self {
        let mut zones: Vec<(bool, Zone)> = Vec::new();
        let mut key = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if !line.starts_with(char::is_whitespace) {
                let (name, state) = line.split_once(' ').unwrap_or((line, ""));
                let zone = Zone { name: name.to_owned(), ..Zone::default() };
                zones.push((state.contains("active"), zone));
                continue;
            }
            let Some((_, zone)) = zones.last_mut() else { continue };
            // Values that do not fit on the line of their key follow it, further to the right.
            let is_more = line.starts_with('\t');
            let value = match line.split_once(':') {
                Some((name, value)) if !is_more => {
                    name.trim().clone_into(&mut key);
                    value
                }
                _ => line,
            };
            zone.add(&key, value.trim());
        }
        Self {
            zones: zones.into_iter().filter(|(is_active, _)| *is_active).map(|(_, z)| z).collect(),
        }
    }
}

impl Zone {
    fn add(&mut self, key: &str, value: &str) {
        let words = value.split_whitespace().map(str::to_owned);
        match key {
            "target" => value.clone_into(&mut self.target),
            "services" => self.services.extend(words),
            "ports" => self.ports.extend(words),
            "forward-ports" => self.forwards.extend(words),
            "rich rules" if !value.is_empty() => self.rules.push(value.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As firewalld 1.3 tells it; 0.9 begins the values of `forward-ports` on the key's own line.
    const TOLD: &str = "\
drop
  target: DROP
  services: 
  ports: 1/tcp

public (active)
  target: default
  icmp-block-inversion: no
  interfaces: eth0
  sources: 
  services: dhcpv6-client https
  ports: 80/tcp 4172/udp
  protocols: 
  forward: yes
  masquerade: no
  forward-ports: 
\tport=443:proto=tcp:toport=8443:toaddr=
\tport=80:proto=tcp:toport=8080:toaddr=
  source-ports: 
  icmp-blocks: 
  rich rules: 
\trule family=\"ipv6\" forward-port port=\"443\" protocol=\"tcp\" to-port=\"8443\"
";

    #[test]
    fn zones_in_use_are_read_with_their_rules() {
        let old = TOLD.replace("forward-ports: \n\t", "forward-ports: ");
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let public = Zone {
            name: "public".to_owned(),
            target: "default".to_owned(),
            services: texts(&["dhcpv6-client", "https"]),
            ports: texts(&["80/tcp", "4172/udp"]),
            forwards: texts(&[
                "port=443:proto=tcp:toport=8443:toaddr=",
                "port=80:proto=tcp:toport=8080:toaddr=",
            ]),
            rules: texts(&[
                "rule family=\"ipv6\" forward-port port=\"443\" protocol=\"tcp\" to-port=\"8443\"",
            ]),
        };

        for text in [TOLD, &old, &TOLD.replace("(active)", "(default, active)")] {
            assert_eq!(Firewall::parse(text), Firewall { zones: vec![public.clone()] });
        }
        assert_eq!(Firewall::parse("\n  ports: 1/tcp\n"), Firewall::default());
    }
}
