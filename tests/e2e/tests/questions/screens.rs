//! The questions as they are printed, in a narrow and in a wide terminal.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use e2e::{
    binaries,
    installation::Installation,
    terminal::{CTRL_C, DOWN, Terminal},
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

use super::{ADDRESS, BROKER, CERTIFICATES, POLICIES, VALUE, install, is_ready};

/// Writes the files anew.
const UPDATE: &str = "UPDATE_SCREENS";

#[test]
fn each_question_is_printed_so() {
    if !is_ready() {
        return;
    }
    for columns in [80, 120] {
        let mut printed = String::new();
        for (title, screen) in screens(columns) {
            let widest = screen.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(widest <= usize::from(columns), "{screen}");
            printed += &format!("# {title}\n\n{screen}\n\n");
        }

        let printed = format!("{}\n", printed.trim_end());
        let file = format!("{}/tests/questions/{columns}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os(UPDATE).is_some() {
            write(Path::new(&file), &printed);
        }
        let expected = fs::read_to_string(&file).expect("the file can be read");
        assert_eq!(printed, expected, "set {UPDATE}=1 to accept it");
    }
}

/// What each question shows, by what it is about.
fn screens(columns: u16) -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = folder.path().join("site");
    let mut screens = Vec::new();

    let mut terminal = Terminal::run_in(columns, &install(&root, &[]));
    terminal.answer(POLICIES, "y");
    terminal.answer(BROKER, "broker.example");
    terminal.expect("hint");
    terminal.expect("\r\n> ");
    screens.push(("A wrong value", terminal.screen()));
    terminal.press("https://broker.example.com\r");
    terminal.answer(ADDRESS, "");
    terminal.expect(CERTIFICATES);
    terminal.press(DOWN);
    terminal.expect(CERTIFICATES);
    screens.push(("An installation with a self-signed certificate", left(terminal)));

    let flags = ["--accept-policies", "--broker-url=https://b.example"];
    let files = [&flags[..], &["--external-pcoip-ip=192.0.2.7"]].concat();
    let mut terminal = Terminal::run_in(columns, &install(&root, &files));
    let (certificate, key) = pair(folder.path());
    terminal.answer(CERTIFICATES, "");
    terminal.answer("--ssl-cert\r\n> ", &certificate);
    terminal.answer("--ssl-key\r\n> ", &key);
    terminal.expect("--ca-cert\r\n> ");
    let screen = left(terminal).replace(&*folder.path().to_string_lossy(), "/root");
    screens.push(("A certificate from files", screen));

    let flags = ["--accept-policies", "--self-signed", "--enable-connection-manager=false"];
    let gateway = [&flags[..], &["--external-pcoip-ip=192.0.2.7"]].concat();
    let mut terminal = Terminal::run_in(columns, &install(&root, &gateway));
    terminal.expect("--jwt-verifying-cert");
    terminal.expect(VALUE);
    screens.push(("A gateway on a host of its own", left(terminal)));

    screens.push(("A broker that cannot be verified", broker(columns, &root)));
    screens
}

/// The screen at a question, which the person then leaves.
fn left(mut terminal: Terminal) -> String {
    let screen = terminal.screen();
    terminal.press(CTRL_C);
    assert_eq!(terminal.end(), 130, "{screen}");
    screen
}

fn write(path: &Path, text: &str) {
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("it can be written");
}

/// A self-signed certificate and its key, in files.
fn pair(folder: &Path) -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key can be made");
    let names = vec!["cm.example".to_owned()];
    let params = CertificateParams::new(names).expect("it is a name");
    let certificate = params.self_signed(&key).expect("a certificate can be signed");
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        write(&path, &text);
        path.display().to_string()
    };
    (put("cm.crt", certificate.pem()), put("cm.key", key.serialize_pem()))
}

/// How the question for a broker's key is printed, without what differs every time.
fn broker(columns: u16, root: &Path) -> String {
    // Its Connection Manager shows a self-signed certificate, as such a broker does.
    let site = Installation::start();
    let address = site.values(&site.paths().connection_manager_conf(), "ListenAddress").remove(0);
    let mut command: Command = binaries::command("pcoip-cmsg-setup");
    command.args(["install", "--runtime=host", "--ignore-disk-req", "--accept-policies"]);
    command.args(["--self-signed", "--enable-security-gateway=false", "--dry-run", "--root"]);
    command.arg(root).arg(format!("--broker-url=https://{address}"));
    let mut terminal = Terminal::run_in(columns, &command);
    terminal.expect("(--broker-cert-check=false)\r\n");
    let screen = left(terminal).replace(&address, "127.0.0.1:44444");
    let mut parts = screen.split("sha256:");
    let mut printed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        printed += &format!("sha256:{}{rest}", "0".repeat(part.len() - rest.len()));
    }
    printed
}
