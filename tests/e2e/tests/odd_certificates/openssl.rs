//! Keys, unusual certificates and pins created by `openssl`, and the server that presents them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use cmsg_config::values::Pin;
use rustls::ProtocolVersion;
use tempfile::TempDir;

/// How to create a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// Arguments of `openssl genpkey`.
    pub(crate) key: &'static str,
    pub(crate) subject: &'static str,
    /// The certificate that signs, or [`ITSELF`].
    pub(crate) issuer: &'static str,
    /// Lines of extensions; a certificate without any has version 1.
    pub(crate) extensions: &'static str,
    /// Further arguments of `openssl ca`.
    pub(crate) options: &'static str,
}

impl Made {
    /// Nothing about it is odd.
    pub(crate) const ORDINARY: Self = Self {
        key: "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        subject: "peer.example.com",
        issuer: "root",
        extensions: "subjectAltName=DNS:peer.example.com",
        options: "",
    };
}

/// The issuer of a self-signed certificate.
pub(crate) const ITSELF: &str = "itself";

/// A directory of named keys and certificates.
pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let workshop = Self { folder };
        workshop.write("openssl.cnf", CONFIGURATION);
        workshop.write("issued", "");
        workshop
    }

    /// Makes `name.key` and `name.crt`.
    pub(crate) fn make(&self, name: &str, made: &Made) {
        self.run(&format!("genpkey {} -out {name}.key", made.key));
        self.certify(name, name, made);
    }

    /// Makes `name.crt` for the key `key.key`.
    pub(crate) fn certify(&self, name: &str, key: &str, made: &Made) {
        let Made { subject, issuer, extensions, options, .. } = *made;
        self.run(&format!("req -new -key {key}.key -subj /CN={subject} -out {name}.csr"));
        if extensions.is_empty() {
            return self.certify_version_1(name, key, issuer);
        }
        let signer = match issuer {
            ITSELF => format!("-selfsign -keyfile {key}.key"),
            _ => format!("-cert {issuer}.crt -keyfile {issuer}.key"),
        };
        self.write("extensions", &format!("[asked]\n{extensions}\n"));
        self.run(&format!(
            "ca -batch -notext -days 30 -in {name}.csr -out {name}.crt {signer} \
             -extfile extensions -extensions asked {options}"
        ));
    }

    fn certify_version_1(&self, name: &str, key: &str, issuer: &str) {
        let signer = match issuer {
            ITSELF => format!("-key {key}.key"),
            _ => format!("-CA {issuer}.crt -CAkey {issuer}.key"),
        };
        // Since OpenSSL 3.2 this requires an option.
        let help = self.command("req -help").output().expect("openssl starts").stderr;
        let asked = String::from_utf8_lossy(&help).contains("-x509v1");
        let version = if asked { "-x509v1" } else { "-x509" };
        self.run(&format!("req {version} -days 30 -in {name}.csr -out {name}.crt {signer}"));
        let text = self.run(&format!("x509 -in {name}.crt -noout -text"));
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
    }

    /// Saves the certificate of a listener as `name.crt`.
    pub(crate) fn take(&self, name: &str, address: SocketAddr) {
        let shown = self.run(&format!("s_client -showcerts -connect {address}"));
        let begin = shown.find(BEGIN).expect("a certificate is shown");
        let end = begin + shown[begin..].find(END).expect("a certificate ends") + END.len();
        self.write(&format!("{name}.crt"), &shown[begin..end]);
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.crt"))
    }

    /// The pin of a certificate, computed like administrators do.
    pub(crate) fn certificate_pin(&self, name: &str) -> Pin {
        let told = self.run(&format!("x509 -in {name}.crt -noout -fingerprint -sha256"));
        let (_, digits) = told.trim().split_once('=').expect("a fingerprint follows its name");
        format!("sha256:{digits}").parse().expect("a fingerprint is a pin")
    }

    /// The pin of a certificate's public key.
    pub(crate) fn key_pin(&self, name: &str) -> Pin {
        let key = self.run(&format!("x509 -in {name}.crt -noout -pubkey"));
        self.write(&format!("{name}.pub"), &key);
        self.run(&format!("pkey -pubin -in {name}.pub -outform DER -out {name}.spki"));
        let told = self.run(&format!("dgst -sha256 -r {name}.spki"));
        let (digits, _) = told.split_once(' ').expect("a digest precedes its file");
        format!("sha256:{digits}").parse().expect("a digest is a pin")
    }

    /// Starts a server with one version of TLS that presents `name.crt`, and the certificate `sent`
    /// as its issuer.
    pub(crate) fn serve(&self, name: &str, sent: Option<&str>, version: ProtocolVersion) -> Server {
        let chain = sent.map(|sent| format!("-cert_chain {sent}.crt")).unwrap_or_default();
        let only = if version == ProtocolVersion::TLSv1_2 { "-tls1_2" } else { "-tls1_3" };
        let command = self.command(&format!(
            "s_server -accept 127.0.0.1:0 {only} -cert {name}.crt -key {name}.key {chain} \
             -cipher ALL:@SECLEVEL=0 -no-CAfile -no-CApath -no-CAstore"
        ));
        Server::start(command, version)
    }

    pub(crate) fn run(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().expect("openssl starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).stdin(Stdio::null());
        command.current_dir(self.folder.path()).env("OPENSSL_CONF", self.path("openssl.cnf"));
        command
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    #[expect(clippy::disallowed_methods, reason = "nobody reads a file that is half written")]
    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("a file can be written");
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----\n";

/// Makes `openssl ca` issue any certificate.
const CONFIGURATION: &str = "\
[req]
distinguished_name = nothing
[nothing]
[ca]
default_ca = issuer
[issuer]
database = issued
new_certs_dir = .
default_md = sha256
rand_serial = yes
unique_subject = no
policy = any
[any]
commonName = supplied
";

/// An `openssl s_server`, killed at the end.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) version: ProtocolVersion,
    child: Child,
    /// The server keeps printing to it.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(mut command: Command, version: ProtocolVersion) -> Self {
        // A connection ends with the standard input.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        while stdout.read_line(&mut line).expect("its output is text") > 0 {
            if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
                let address = address.parse().expect("it tells where it listens");
                return Self { address, version, child, _stdout: stdout };
            }
            line.clear();
        }
        let ended = child.wait_with_output().expect("openssl ends");
        panic!("openssl s_server: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}
