//! Passwords and keys that the installer receives or creates.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use crate::{
    marks::Marks,
    place::{INSTALL, Place, is_silent},
    watch::{Seen, Watch, look},
};

const DOCKER: &str = "do&ck <e'r\"> pa/ss+w%rd 7Qx";
const SSO: &str = "s\\so é=en&roll ~ 9Zk!";
const BROKER: &str = "--broker-url=https://127.0.0.1:1";
const SSO_WORDS: [&str; 3] = [
    "--sso-enrollment-url=https://ca.example/certsrv",
    "--sso-enrollment-domain=corp.example",
    "--sso-enrollment-username=svc",
];
const TEMPLATE: &str = "--sso-enrollment-certificate-template-name=Smartcard";

fn marks() -> Marks {
    Marks::of([("docker password", DOCKER), ("enrollment password", SSO)])
}

/// A way to pass both passwords.
struct Way {
    words: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    input: &'static str,
    /// Whether all users can see it on the installer's command line, as its warning says.
    is_on_command_line: bool,
}

fn ways() -> Vec<Way> {
    let by = |docker: &str, sso: &str| {
        vec![format!("--docker-password={docker}"), format!("--sso-enrollment-password={sso}")]
    };
    let way =
        |words, environment, input| Way { words, environment, input, is_on_command_line: false };
    vec![
        Way { is_on_command_line: true, ..way(by(DOCKER, SSO), vec![], "") },
        way(by("@docker", "@sso"), vec![], ""),
        way(by("-", "@sso"), vec![], DOCKER),
        way(by("@docker", "-"), vec![], SSO),
        way(
            vec![],
            vec![
                ("PCOIP_CMSG_DOCKER_PASSWORD", DOCKER),
                ("PCOIP_CMSG_SSO_ENROLLMENT_PASSWORD", SSO),
            ],
            "",
        ),
    ]
}

/// Checks what other users can see of processes.
fn is_hidden(seen: &BTreeSet<Seen>, marks: &Marks, way: &Way) {
    let is_installer = |process: &Seen| {
        process.program == "pcoip-cmsg-setup"
            && !process.words.split(|byte| *byte == 0).any(|word| word == b"detach")
    };
    let (installer, others): (Vec<_>, Vec<_>) = seen.iter().partition(|it| is_installer(it));
    assert!(!installer.is_empty() && others.len() >= 3, "{seen:#?}");
    for process in installer {
        assert!(way.is_on_command_line || marks.find(&process.words).is_empty(), "{process:?}");
        let is_given = !way.environment.is_empty();
        assert!(is_given || marks.find(&process.environment).is_empty(), "{process:?}");
    }
    for process in others {
        let told = [&process.words, &process.environment].map(|bytes| marks.find(bytes));
        assert_eq!(told, [vec![], vec![]] as [Vec<String>; 2], "{process:?}");
    }
}

#[test]
fn a_password_stays_in_its_file_however_it_is_given() {
    let marks = marks();
    for way in ways() {
        let place = Place::fresh();
        place.file("docker", DOCKER);
        place.file("sso", &format!("{SSO}\n"));
        let words = way.words.iter().map(String::as_str);
        let common = [&INSTALL[..], &SSO_WORDS, &[BROKER, TEMPLATE, "--docker-username=me"]];
        let words: Vec<_> = common.concat().into_iter().chain(words).collect();
        let watch = Watch::start(place.folder());

        let output = place.run(&words, &way.environment, way.input);

        is_silent(&output, &marks, &words[INSTALL.len()..]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{complaint}");
        let secrets = "opt/teradici/pcoipcm_data/data/secrets";
        let places = ["docker-password", "sso-enrollment-password"];
        assert_eq!(
            place.holds_secrets_in_their_places(&marks),
            places.map(|name| format!("{secrets}/{name}"))
        );
        for words in [
            &["status"][..],
            &["status", "--output=json"],
            &["install", "--dry-run", "--verbose", "--output=json"],
            &["validate", "--output=json"],
            &["configure", "--agent-port=6000", "--debug", "--output=json"],
            &["install", "--save-answers=mine.yaml", "--verbose"],
            &["uninstall", "--yes", "--dry-run", "--verbose", "--output=json"],
            &["uninstall", "--yes", "--verbose"],
        ] {
            place.done(words, &marks);
        }
        let exported = fs::read(place.folder().join("mine.yaml")).expect("it is written");
        assert_eq!(marks.find(&exported), [""; 0]);
        is_hidden(&watch.end(), &marks, &way);
        place.holds_secrets_in_their_places(&marks);
    }
}

#[test]
fn a_password_is_not_told_by_what_refuses_it() {
    let place = Place::fresh();
    let marks = marks();
    place.file("two-lines", &format!("{DOCKER}\n{SSO}\n"));
    let quoted = serde_json::Value::from(DOCKER).to_string();
    for (name, text) in [
        ("answers", format!("docker-password: {quoted}\n")),
        ("typo", format!("docker-pasword: {quoted}\n")),
        ("nested", format!("docker-password: [{quoted}, {quoted}]\n")),
        ("map", format!("docker-password: {{a: {quoted}}}\n")),
        ("torn", format!("docker-password: {quoted}\nroot: [\n")),
        ("twice", format!("docker-password: {quoted}\ndocker-password: {quoted}\n")),
        ("tag", format!("docker-password: !x {quoted}\n")),
    ] {
        place.file(&format!("{name}.yaml"), &text);
    }
    let table: [(&[&str], &str); 15] = [
        (&["--docker-password=@two-lines"], ""),
        (&["--docker-password=-"], "do&ck <e'r\"> pa/ss+w%rd 7Qx\nmore"),
        (&["--docker-pasword", DOCKER], ""),
        (&["--docker_password", DOCKER], ""),
        (&["–docker-password=do&ck <e'r\"> pa/ss+w%rd 7Qx"], ""),
        (&["--docker-password", DOCKER, "--docker-password", DOCKER], ""),
        (&["--sso-enrollment-password", SSO, "--broker-url=?"], ""),
        (&["--docker-password", DOCKER, "--listen=?"], ""),
        (&["--answers=answers.yaml"], ""),
        (&["--answers=typo.yaml"], ""),
        (&["--answers=nested.yaml"], ""),
        (&["--answers=map.yaml"], ""),
        (&["--answers=torn.yaml"], ""),
        (&["--answers=twice.yaml"], ""),
        (&["--answers=tag.yaml"], ""),
    ];
    for (words, input) in table {
        for form in [&["--output=json"][..], &[]] {
            let words = [&INSTALL[..], &[BROKER, "--docker-username=me"], words, form].concat();

            let output = place.run(&words, &[], input);

            is_silent(&output, &marks, &words[INSTALL.len()..]);
            let code = output.status.code();
            assert!(code == Some(2) || code == Some(3), "{words:?}: {code:?}");
            assert!(!place.paths().base().exists());
        }
    }
}

/// Lines of a key's PEM that occur nowhere else.
fn key_marks(place: &Place) -> Marks {
    let mut marks = Marks::default();
    for name in ["cmsg.key", "jwt-signing.key"] {
        let pem = fs::read_to_string(place.paths().certs().join(name)).expect("it is there");
        let mut lines = pem.lines().filter(|line| !line.starts_with("-----"));
        // The first line only depends on the kind of key.
        let line = lines.nth(1).expect("a key has several lines");
        marks.add(name, &line[..line.len().min(40)]);
    }
    marks
}

#[test]
fn keys_stay_in_their_files() {
    let place = Place::fresh();
    let words = [&INSTALL[..], &[BROKER, "--output=json"]].concat();
    let watch = Watch::start(place.folder());
    let installed = place.done(&words, &Marks::default());
    let marks = key_marks(&place);
    is_silent(&installed, &marks, &words);

    let changed = ["configure", "--host-address=new.example", "--verbose", "--output=json"];
    place.done(&changed, &marks);
    place.done(&["status", "--output=json"], &marks);
    place.done(&["install", "--dry-run", "--output=json"], &marks);

    let certs = "opt/teradici/pcoipcm_data/certs";
    let places = place.holds_secrets_in_their_places(&marks);
    assert!(places.contains(&format!("{certs}/jwt-signing.key")), "{places:?}");
    for process in watch.end() {
        let told = [&process.words, &process.environment].map(|bytes| marks.find(bytes));
        assert_eq!(told, [vec![], vec![]] as [Vec<String>; 2], "{process:?}");
    }
}

#[test]
fn what_a_killed_installer_leaves_has_its_secrets_in_their_places() {
    let place = Place::fresh();
    let marks = marks();
    place.file("docker", DOCKER);
    let words = ["--docker-username=me", "--docker-password=@docker", BROKER];
    let words = [&INSTALL[..], &words].concat();
    let journal = place.paths().root().join(".pcoip-cmsg-setup.journal");
    for begun in [1, 4, 7] {
        let mut child = place.command(&words).spawn().expect("it starts");
        let started = Instant::now();
        let step = || {
            let text = fs::read_to_string(&journal).unwrap_or_default();
            let journal = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
            journal["begun"].as_u64().unwrap_or_default()
        };
        while step() < begun && started.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }

        child.kill().expect("it can be killed");
        let output = child.wait_with_output().expect("it has ended");

        is_silent(&output, &marks, &words);
        place.holds_secrets_in_their_places(&marks);
    }
}

#[test]
fn no_process_that_knows_a_secret_leaves_its_memory_behind() {
    let place = Place::fresh();
    let watch = Watch::start(place.folder());
    place.done(&[&INSTALL[..], &[BROKER]].concat(), &Marks::default());

    let running = look(place.folder());

    assert_eq!(running.len(), 3, "{running:?}");
    assert!(running.iter().all(|process| process.core == "0"), "{running:?}");
    // Processes are visible even before their first instruction.
    let seen = watch.end();
    let is_hardened = |it: &&Seen| it.program == "pcoip-cmsg-setup" && it.core == "0";
    assert!(seen.iter().any(|it| is_hardened(&it)), "{seen:#?}");
}
