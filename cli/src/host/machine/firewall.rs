//! The rules of firewalld, asked for with a time limit: what holds at present through its daemon,
//! where that runs, and for the machine's own installation what stands in its files too.

mod ask;
pub(crate) mod open_port;

use open_port::OpenPort;

use crate::installation::firewall::{Rule, SERVICE};

/// Where our service is defined.
pub(crate) const DEFINITION: &str = "/etc/firewalld/services/pcoip-cmsg.xml";
/// The zone that firewalld begins with.
const FIRST_DEFAULT: &str = "public";
/// Where the vendor's guide sends what comes for these ports.
const VENDORS: [(u16, u16); 2] = [(443, 8443), (80, 8080)];

/// What is known of firewalld.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Firewall {
    /// What holds at present, where it runs.
    pub(crate) now: Option<Rules>,
    /// What stands in its files, where that was asked for.
    pub(crate) kept: Option<Rules>,
}

/// One set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rules {
    pub(crate) zones: Vec<Zone>,
    /// The ports of our service; none where there is no such service.
    pub(crate) service: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Zone {
    pub(crate) name: String,
    /// Whether some interface or source is in it, or everything that is in no other.
    pub(crate) is_used: bool,
    /// Whether it is the one for everything that is in no other.
    pub(crate) is_default: bool,
    /// Whether interfaces are in it.
    pub(crate) has_interfaces: bool,
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
    /// What holds, or will when it starts.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.now.as_ref().or(self.kept.as_ref())
    }

    /// Whether a zone is in use.
    pub(crate) fn uses(&self, zone: &str) -> bool {
        self.rules().is_some_and(|rules| rules.used().any(|used| used.name == zone))
    }

    /// The zones by which clients come in: those of interfaces, the default one, and those of
    /// sources, but for zones that let everybody in anyway and those that are to keep sources out.
    pub(crate) fn entrances(&self) -> Vec<&str> {
        let is_entrance = |zone: &&Zone| match zone.target.as_str() {
            "ACCEPT" => false,
            "default" => true,
            _ => zone.is_default || zone.has_interfaces,
        };
        let used = self.rules().into_iter().flat_map(Rules::used);
        used.filter(is_entrance).map(|zone| zone.name.as_str()).collect()
    }
}

impl Rules {
    /// The zones in use.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter().filter(|zone| zone.is_used)
    }

    pub(crate) fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    /// Whether a zone lets clients in to a port.
    pub(crate) fn let_in(&self, zone: &Zone, port: OpenPort) -> bool {
        let by_ours = zone.has_our_service() && self.service.contains(&port.name());
        by_ours || zone.lets_in(port)
    }

    /// Reads what `firewall-cmd --list-all-zones` tells.
    pub(crate) fn parse(text: &str, default: &str) -> Self {
        let mut zones: Vec<Zone> = Vec::new();
        let mut key = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if !line.starts_with(char::is_whitespace) {
                let (name, state) = line.split_once(' ').unwrap_or((line, ""));
                let is_default = name == default;
                let is_used = is_default || state.contains("active");
                zones.push(Zone { name: name.to_owned(), is_default, is_used, ..Zone::default() });
                continue;
            }
            let Some(zone) = zones.last_mut() else { continue };
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
        Self { zones, service: Vec::new() }
    }
}

impl Zone {
    fn add(&mut self, key: &str, value: &str) {
        let words = value.split_whitespace().map(str::to_owned);
        match key {
            "interfaces" | "sources" if !value.is_empty() => {
                self.is_used = true;
                self.has_interfaces |= key == "interfaces";
            }
            "target" => value.clone_into(&mut self.target),
            "services" => self.services.extend(words),
            "ports" => self.ports.extend(words),
            "forward-ports" => self.forwards.extend(words),
            "rich rules" if !value.is_empty() => self.rules.push(value.to_owned()),
            _ => {}
        }
    }

    /// Whether our service is let in.
    pub(crate) fn has_our_service(&self) -> bool {
        self.services.iter().any(|service| service == SERVICE)
    }

    /// Whether it has a rule.
    pub(crate) fn has(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Service => self.has_our_service(),
            Rule::Port(text) => self.ports.contains(text),
            Rule::Forward(text) => self.forwards.contains(text),
            Rule::Rich(text) => self.rules.contains(text),
        }
    }

    /// Whether clients are let in to a port, but for our service.
    pub(crate) fn lets_in(&self, port: OpenPort) -> bool {
        let word = format!("port port=\"{}\" protocol=\"{}\"", port.port, port.transport);
        let opens = |rule: &String| {
            let by_service = |name| rule.contains(&format!("service name=\"{name}\""));
            rule.ends_with(" accept")
                && (rule.contains(&word) || port.service().is_some_and(by_service))
        };
        self.target == "ACCEPT"
            || self.ports.iter().any(|ports| port.is_within(ports))
            || port.service().is_some_and(|name| self.services.iter().any(|s| s == name))
            || self.rules.iter().any(opens)
    }

    /// The rules that send elsewhere what comes for a port.
    pub(crate) fn diversions(&self, port: OpenPort) -> Vec<Rule> {
        let start = format!("port={}:proto={}:", port.port, port.transport);
        let forwards = self.forwards.iter().filter(|forward| forward.starts_with(&start));
        let word = format!("forward-port port=\"{}\" protocol=\"{}\"", port.port, port.transport);
        let rules = self.rules.iter().filter(|rule| rule.contains(&word));
        forwards.cloned().map(Rule::Forward).chain(rules.cloned().map(Rule::Rich)).collect()
    }
}

/// The port that a rule of the vendor's guide sends elsewhere, if it is one of those.
pub(crate) fn diverted_by_vendor(rule: &Rule) -> Option<u16> {
    let is_it = |(from, to): &(u16, u16)| match rule {
        Rule::Forward(text) => *text == format!("port={from}:proto=tcp:toport={to}:toaddr="),
        Rule::Rich(text) => ["ipv4", "ipv6"].iter().any(|family| {
            *text
                == format!(
                    "rule family=\"{family}\" forward-port port=\"{from}\" protocol=\"tcp\" \
                     to-port=\"{to}\""
                )
        }),
        Rule::Service | Rule::Port(_) => false,
    };
    VENDORS.iter().find(|ports| is_it(ports)).map(|(from, _)| *from)
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
    fn zones_are_read_with_their_rules() {
        let old = TOLD.replace("forward-ports: \n\t", "forward-ports: ");
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let drop = Zone {
            name: "drop".to_owned(),
            target: "DROP".to_owned(),
            ports: texts(&["1/tcp"]),
            ..Zone::default()
        };
        let public = Zone {
            name: "public".to_owned(),
            is_used: true,
            is_default: false,
            has_interfaces: true,
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
            let rules = Rules::parse(text, "work");
            assert_eq!(rules.zones, [drop.clone(), public.clone()]);
        }
        assert_eq!(Rules::parse("\n  ports: 1/tcp\n", "work"), Rules::default());
        assert!(Rules::parse(TOLD, "drop").zones[0].is_default);
    }

    #[test]
    fn clients_come_in_by_interfaces_the_default_zone_and_sources_that_are_not_kept_out() {
        let zone =
            |name: &str, target: &str, more: &str| format!("{name}\n  target: {target}\n{more}\n");
        let text = [
            zone("banned", "DROP", "  sources: 192.0.2.0/24"),
            zone("docker", "ACCEPT", "  interfaces: docker0"),
            zone("hard", "DROP", "  interfaces: eth1"),
            zone("office", "default", "  sources: 198.51.100.0/24"),
            zone("public", "%%REJECT%%", ""),
            zone("unused", "default", ""),
        ]
        .concat();
        let firewall = Firewall { now: Some(Rules::parse(&text, "public")), kept: None };

        assert_eq!(firewall.entrances(), ["hard", "office", "public"]);
        assert!(firewall.uses("banned") && !firewall.uses("unused"));
    }

    #[test]
    fn only_the_guide_s_own_rules_are_the_vendor_s() {
        let forward = |text: &str| diverted_by_vendor(&Rule::Forward(text.to_owned()));
        let rich = |text: &str| diverted_by_vendor(&Rule::Rich(text.to_owned()));

        assert_eq!(forward("port=443:proto=tcp:toport=8443:toaddr="), Some(443));
        assert_eq!(forward("port=80:proto=tcp:toport=8080:toaddr="), Some(80));
        assert_eq!(forward("port=443:proto=tcp:toport=8443:toaddr=192.0.2.1"), None);
        assert_eq!(forward("port=443:proto=tcp:toport=8080:toaddr="), None);
        let rule =
            "rule family=\"ipv6\" forward-port port=\"80\" protocol=\"tcp\" to-port=\"8080\"";
        assert_eq!(rich(rule), Some(80));
        assert_eq!(rich(&format!("{rule} to-addr=\"2001:db8::1\"")), None);
    }
}
