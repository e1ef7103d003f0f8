//! Settings without effect are checked, saved and reported. Passwords are only in their own files.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Output, Stdio},
};

use cmsg_config::{ConfFile, Paths};
use e2e::installer::{INSTALL_ON_HOST as INSTALL, PURGE, document, plain};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use serde_json::json;
use tempfile::TempDir;

#[path = "kept_settings/authentication.rs"]
mod authentication;

/// Variables with their values.
type Environment = &'static [(&'static str, &'static str)];
const SECRET: &str = "hunter2-hunter2";

struct Installation {
    folder: TempDir,
}

impl Installation {
    fn none() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut file = File::create(&path).expect("a file can be made");
        file.write_all(text.as_bytes()).expect("a file can be written");
        path
    }

    fn paths(&self) -> Paths {
        Paths::under(self.folder.path().join("site"))
    }

    /// Runs the installer with this environment and standard input.
    fn run(&self, words: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = e2e::binaries::command("pcoip-cmsg-setup");
        command.arg("--output=json").args(words).arg("--root").arg(self.paths().root());
        let mut child = plain(&mut command)
            .envs(environment.iter().copied())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the installer can be run");
        // The installer may exit without reading it.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("the installer ends")
    }

    fn done(&self, words: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let output = self.run(words, environment, input);
        assert_eq!(output.status.code(), Some(0), "{:#}", document(&output));
        output
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.paths().data().join("secrets").join(name)
    }

    fn value(&self, key: &str) -> Option<String> {
        let file = ConfFile::load(&self.paths().connection_manager_conf())
            .expect("the configuration can be read");
        file.values(key).next().map(|entry| entry.value.to_owned())
    }

    /// The files under the root that contain a text.
    fn holding(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.paths().root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder can be read") {
                let entry = entry.expect("a folder can be read");
                let kind = entry.file_type().expect("it is there");
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let content = fs::read(entry.path()).unwrap_or_default();
                    if content.windows(text.len()).any(|window| window == text.as_bytes()) {
                        found.push(entry.path());
                    }
                }
            }
        }
        found
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.run(&PURGE, &[], "");
    }
}

fn ids(output: &Output) -> Vec<String> {
    let document = document(output);
    let findings = document["findings"].as_array().expect("there are findings").iter();
    let ids = findings.map(|finding| finding["id"].as_str().unwrap_or_default().to_owned());
    ids.filter(|id| id.starts_with("settings.")).collect()
}

fn tells(output: &Output, text: &str) -> bool {
    [&output.stdout, &output.stderr]
        .into_iter()
        .any(|bytes| String::from_utf8_lossy(bytes).contains(text))
}

#[test]
fn a_misspelt_variable_is_told_without_its_value() {
    let site = Installation::none();
    let words = ["validate", "--runtime=host", "--accept-policies", "--self-signed"];
    let words = [&words[..], &["--enable-security-gateway=false"]].concat();
    let environment = [("PCOIP_CMSG_BROKER_ULR", SECRET), ("PCOIP_CMSG_DEPLOYMENT", "d")];

    let output = site.run(&words, &environment, "");

    assert_eq!(output.status.code(), Some(3), "{:#}", document(&output));
    assert_eq!(ids(&output), ["settings.missing", "settings.environment"]);
    assert!(tells(&output, "use `PCOIP_CMSG_BROKER_URL` instead"));
    assert!(!tells(&output, SECRET));
}

#[test]
fn a_password_from_anywhere_stands_in_a_file_of_its_own_and_nowhere_else() {
    let site = Installation::none();
    site.file("password", &format!("{SECRET}\n"));
    let user = "--docker-username=me";
    let by_file = "--docker-password=@password";
    let literal = format!("--docker-password={SECRET}");
    let variable: Environment = &[("PCOIP_CMSG_DOCKER_PASSWORD", SECRET)];
    // Docker is not used by an installation on the host.
    let warned = ["settings.ignored", "settings.ignored", "settings.secret-on-command-line"];
    let table: [(&[&str], Environment, &str, &[&str]); 4] = [
        (&[user, by_file, "--save-answers=mine.yaml"], &[], "", &warned[..2]),
        (&[user, "--docker-password", "-"], &[], SECRET, &warned[..2]),
        (&[user], variable, "", &warned[..2]),
        (&[user, &literal, "--verbose", "--save-answers=mine.yaml"], &[], "", &warned),
    ];
    for (words, environment, input, expected) in table {
        let words = [&INSTALL[..], words].concat();

        let output = site.done(&words, environment, input);

        assert_eq!(ids(&output), expected, "{words:?}");
        assert!(!tells(&output, SECRET), "{words:?}");
        let kept = site.secret("docker-password");
        assert_eq!(site.holding(SECRET), std::slice::from_ref(&kept), "{words:?}");
        let mode = kept.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&kept).expect("it can be read"), SECRET);
        assert_eq!(
            document(&output)["settings"]["docker-password"]["value"],
            json!(format!("@{}", kept.display()))
        );
        fs::remove_file(kept).expect("it can be removed");
    }
    let exported = fs::read_to_string(site.folder.path().join("mine.yaml"));
    let exported = exported.expect("answers are exported");
    assert!(!exported.contains(SECRET) && exported.contains("docker-password"), "{exported}");
}

#[test]
fn a_kept_password_is_used_again_and_goes_when_it_is_taken_back() {
    let site = Installation::none();
    let words = [&INSTALL[..], &["--docker-username=me", "--docker-password=-"]].concat();
    site.done(&words, &[], SECRET);

    let again = site.done(&["install"], &[], "");

    assert_eq!(ids(&again), [""; 0]);
    assert!(site.secret("docker-password").exists());
    site.done(&["configure", "--docker-password=", "--docker-username="], &[], "");
    assert!(!site.secret("docker-password").exists());
}

#[test]
fn what_is_no_password_is_refused_without_telling_it() {
    let site = Installation::none();
    site.file("two-lines", &format!("{SECRET}\nmore\n"));
    let answers = site.file("answers.yaml", &format!("docker-password: {SECRET}\n"));
    let answers = format!("--answers={}", answers.display());
    let sso = "--sso-enrollment-password=-";
    let table: [(&[&str], i32, &str); 5] = [
        (&["--docker-password=@none"], 3, "No such file or directory"),
        (&["--docker-password=@two-lines"], 3, "has more than one line"),
        (
            &["--docker-password=-", sso],
            3,
            "standard input is already used for `--docker-password`",
        ),
        (&[&answers], 3, "the answers file contains the password `docker-password` in plain text"),
        (&["–docker-password=hunter2-hunter2"], 2, "which is not a hyphen"),
    ];
    for (words, code, what) in table {
        let words = [&INSTALL[..], &["--docker-username=me"], words].concat();

        let output = site.run(&words, &[], SECRET);

        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(tells(&output, what), "{words:?}: {:#}", document(&output));
        assert!(!tells(&output, SECRET), "{words:?}");
        assert!(!site.paths().base().exists());
    }
}

/// PEM of a CA: certificate, key and revocation list.
fn authority() -> [String; 3] {
    let key = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).expect("a certificate can be made").pem();
    let pem = key.serialize_pem();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2126, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::new(params, key)).expect("a list can be made");
    [certificate, pem, list.pem().expect("a list has a text")]
}

/// The arguments for all settings without effect, with files from `authority`.
const EVERYTHING: [&str; 10] = [
    "--id-provider-url=https://idp.example/oauth2/default",
    "--oauth-client-id=0oa1",
    "--fa-url=https://cac-vm-fqdn:8443",
    "--sso-signing-csr-ca=ca.crt",
    "--sso-signing-csr-key=ca.key",
    "--sso-signing-crl=ca.crl",
    "--trusted-license-cert=ca.crt",
    "--trusted-license-cert-key=ca.key",
    "--enable-horizon",
    "--enable-collaboration=false",
];

/// An installation with all of these settings, and the given key.
fn with_everything() -> (Installation, Output, String) {
    let site = Installation::none();
    let [certificate, key, list] = authority();
    for (name, text) in [("ca.crt", &certificate), ("ca.key", &key), ("ca.crl", &list)] {
        site.file(name, text);
    }
    let output = site.done(&[&INSTALL[..], &EVERYTHING].concat(), &[], "");
    (site, output, key)
}

#[test]
fn what_the_connection_manager_will_need_stands_in_its_configuration() {
    let (site, output, key) = with_everything();

    assert_eq!(ids(&output), ["settings.no-effect-yet"]);
    let certs = |name: &str| site.paths().certs().join(name).display().to_string();
    let values = [
        ("IdProviderUrl", "https://idp.example/oauth2/default".to_owned()),
        ("OauthClientId", "0oa1".to_owned()),
        ("FederatedAuthUrl", "https://cac-vm-fqdn:8443".to_owned()),
        ("SsoSigningCertificate", certs("sso-signing-ca.crt")),
        ("SsoSigningKey", certs("sso-signing-ca.key")),
        ("SsoSigningCrl", certs("sso-signing.crl")),
        ("TrustedLicenseCertificate", certs("tcl-cert.crt")),
        ("TrustedLicenseKey", certs("tcl-cert.key")),
        ("HorizonEnabled", "true".to_owned()),
    ];
    for (key, value) in values {
        assert_eq!(site.value(key), Some(value), "{key}");
    }
    assert_eq!(fs::read_to_string(certs("tcl-cert.key")).expect("it is copied"), key);
    let gateway = ConfFile::load(&site.paths().security_gateway_conf()).expect("it is there");
    let collaboration: Vec<_> = gateway.values("CollaborationEnabled").map(|e| e.value).collect();
    assert_eq!(collaboration, ["false"]);
}

#[test]
fn a_new_way_to_sign_replaces_the_former_and_a_cleared_licence_goes() {
    let (site, ..) = with_everything();
    let certs = |name: &str| site.paths().certs().join(name);

    let enrollment = [
        "configure",
        "--clear-trusted-license",
        "--sso-enrollment-url=https://ca.example/certsrv",
        "--sso-enrollment-domain=corp.example",
        "--sso-enrollment-username=svc",
        "--sso-enrollment-password=-",
        "--sso-enrollment-certificate-template-name=Smartcard User 2",
    ];
    site.done(&enrollment, &[], SECRET);

    let password = site.secret("sso-enrollment-password");
    assert_eq!(site.value("SsoEnrollmentPasswordFile"), Some(password.display().to_string()));
    assert_eq!(site.value("SsoEnrollmentTemplate").as_deref(), Some("Smartcard User 2"));
    assert_eq!(site.holding(SECRET), [password]);
    for gone in ["SsoSigningKey", "TrustedLicenseKey"] {
        assert_eq!(site.value(gone), None, "{gone}");
    }
    for gone in ["sso-signing-ca.key", "tcl-cert.key", "tcl-cert.crt"] {
        assert!(!certs(gone).exists(), "{gone}");
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused() {
    let site = Installation::none();
    let ([certificate, key, _], [_, other, _]) = (authority(), authority());
    for (name, text) in [("crt", &certificate), ("key", &key), ("other", &other)] {
        site.file(name, text);
    }
    let sso = ["--sso-signing-csr-ca=crt"];
    let licence = "--trusted-license-cert-key=key";
    let table: [(&[&str], &str); 6] = [
        (&["--sso-signing-csr-key=other"], "key.mismatch"),
        (&["--sso-signing-csr-key=crt"], "key.is-certificate"),
        (&["--sso-signing-csr-key=none"], "key.unreadable"),
        (&["--sso-signing-csr-key=key", "--sso-signing-crl=crt"], "certificate.no-revocation-list"),
        (&["--sso-signing-csr-key=key", "--compose-file=none"], "settings.file"),
        (
            &["--sso-signing-csr-key=key", "--trusted-license-cert=key", licence],
            "certificate.is-key",
        ),
    ];
    for (words, id) in table {
        let output = site.run(&[&INSTALL[..], &sso, words].concat(), &[], "");

        assert_eq!(output.status.code(), Some(3), "{words:?}");
        assert!(tells(&output, &format!("\"{id}\"")), "{words:?}: {:#}", document(&output));
    }
}
