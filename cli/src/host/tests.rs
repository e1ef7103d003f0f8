use super::*;
use crate::{
    installation::installed::InstalledFile,
    plan::{
        self,
        tests::{facts, wanted},
    },
};

/// On the machine itself, where the documented ports are the default.
const MACHINE: &str = "accept-policies: true\nself-signed: true\nruntime: host\n\
                       broker-url: https://b\nexternal-pcoip-ip: 192.0.2.1\n";

fn machine() -> Paths {
    Paths::under("/")
}

/// An installation by these words, and then by others.
fn chosen(first: &str, edit: Edit, second: &str) -> Vec<Choice> {
    let (one, answers) = wanted(&format!("{MACHINE}{first}"));
    let mut facts = facts(&one);
    let found = choices(&one, &facts.installed, &machine());
    for (key, choice) in found {
        let address = if let Choice::At(address) = choice { Some(address) } else { None };
        facts.listeners.insert(key, Listener { address, troubles: Vec::new(), is_any: false });
    }
    let plan = plan::install(&one, &facts, &answers);
    let mut installed = plan::tests::after(&plan, facts).installed;
    edit(&mut installed);
    let (other, _) = wanted(&format!("{MACHINE}{second}"));
    choices(&other, &installed, &machine()).into_iter().map(|(_, choice)| choice).collect()
}

/// The administrator writes another address for the Connection Manager.
fn moved(installed: &mut Installed) {
    let path = machine().connection_manager_conf();
    let text = installed.files[&path].content.text().replace("0.0.0.0:443", "192.0.2.1:443");
    installed.files.insert(path, InstalledFile { content: text.into(), is_private: true });
}

/// A way to edit what is installed.
type Edit = fn(&mut Installed);

#[test]
fn listeners_follow_the_default_unless_somebody_moved_them() {
    const V4: [&str; 4] = ["0.0.0.0:443", "0.0.0.0:80", "0.0.0.0:4172", "0.0.0.0:55000"];
    const V6: [&str; 4] = ["[::]:443", "[::]:80", "[::]:4172", "[::]:55000"];
    const MOVED: [&str; 4] = ["192.0.2.1:443", V6[1], V6[2], V6[3]];
    const OFF: [&str; 4] = [V4[0], "off", V4[2], V4[3]];
    let (ipv6, off) = ("enable-ipv6: true\n", "listen: http=off\n");
    let table: [(&str, Edit, &str, _); 6] = [
        ("", |_| {}, "", V4),
        ("", |_| {}, ipv6, V6),
        (ipv6, |_| {}, "", V4),
        ("", moved, ipv6, MOVED),
        (off, |_| {}, off, OFF),
        (off, |_| {}, "", V4),
    ];
    for (first, edit, second, expected) in table {
        let expected = expected.map(|text| text.parse().map_or(Choice::Off, Choice::At));

        assert_eq!(chosen(first, edit, second), expected, "{first}{second}");
    }
}
