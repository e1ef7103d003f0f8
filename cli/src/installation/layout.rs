//! The files and folders of an installation beyond those that the daemon knows.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use cmsg_config::{
    Paths, rejected,
    socket::{Role, SUPERVISOR},
};

use crate::{
    args::settings::{self, FILES, Setting},
    installation::Runtime,
};

/// Whether that is the machine's own installation.
pub(crate) fn is_machine(paths: &Paths) -> bool {
    paths.root() == Path::new("/")
}

/// Where an installation is, for people.
pub(crate) fn place(root: &Path) -> String {
    if root == Path::new("/") {
        "on this host".to_owned()
    } else {
        format!("under `{}`", root.display())
    }
}

/// The words that have the installer find this installation again, with a space in front.
pub(crate) fn words(paths: &Paths, runtime: Runtime) -> String {
    match runtime {
        Runtime::Swarm => String::new(),
        Runtime::Host if is_machine(paths) => " --runtime=host".to_owned(),
        Runtime::Host => format!(" --root {}", paths.root().display()),
    }
}

/// Where the installer's lock and journal lie: in a folder that is always there, and not in the
/// machine's root.
pub(crate) fn beside(root: &Path) -> PathBuf {
    if root == Path::new("/") { "/var/lib".into() } else { root.to_owned() }
}

/// The certificate of both roles, followed by its chain.
pub(crate) fn certificate(paths: &Paths) -> PathBuf {
    copy(paths, Setting::SslCert)
}

/// The key of that certificate.
pub(crate) fn key(paths: &Paths) -> PathBuf {
    copy(paths, Setting::SslKey)
}

pub(crate) fn authority(paths: &Paths) -> PathBuf {
    copy(paths, Setting::CaCert)
}

/// The key that signs announcements.
pub(crate) fn signing_key(paths: &Paths) -> PathBuf {
    copy(paths, Setting::JwtSigningKey)
}

/// The certificates that verify announcements.
pub(crate) fn verifying_certificates(paths: &Paths) -> PathBuf {
    copy(paths, Setting::JwtVerifyingCert)
}

pub(crate) fn answers(paths: &Paths) -> PathBuf {
    paths.data().join("answers.yaml")
}

/// What the installer notes for itself.
pub(crate) fn record(paths: &Paths) -> PathBuf {
    paths.data().join("installation.json")
}

/// What the installation was before it was last changed.
pub(crate) fn previous(paths: &Paths) -> PathBuf {
    paths.data().join("previous.json")
}

/// The daemon before the last one.
pub(crate) fn previous_daemon(paths: &Paths) -> PathBuf {
    paths.daemon().with_extension("previous")
}

/// The file of a password, which nobody but its owner reads.
pub(crate) fn secret(paths: &Paths, setting: Setting) -> PathBuf {
    secrets(paths).join(setting.as_str())
}

pub(crate) fn secrets(paths: &Paths) -> PathBuf {
    paths.data().join("secrets")
}

/// The copy of an operator's file. A setting without a name for its copy here has its own name, so that
/// no two copies share a file.
pub(crate) fn copy(paths: &Paths, setting: Setting) -> PathBuf {
    let name = match setting {
        Setting::SslCert => "cmsg.crt",
        Setting::SslKey => "cmsg.key",
        Setting::CaCert => "ca.crt",
        Setting::JwtSigningKey => "jwt-signing.key",
        Setting::SsoSigningCsrCa => "sso-signing-ca.crt",
        Setting::SsoSigningCsrKey => "sso-signing-ca.key",
        Setting::SsoSigningCrl => "sso-signing.crl",
        Setting::TrustedLicenseCert => "tcl-cert.crt",
        Setting::TrustedLicenseCertKey => "tcl-cert.key",
        Setting::ComposeFile => return compose_file(paths),
        Setting::JwtVerifyingCert => "jwt-verifying.crt",
        _ => setting.as_str(),
    };
    paths.certs().join(name)
}

pub(crate) fn conf(paths: &Paths, role: Role) -> PathBuf {
    match role {
        Role::Cm => paths.connection_manager_conf(),
        Role::Sg => paths.security_gateway_conf(),
    }
}

/// The configuration of a role that is not wanted at present.
pub(crate) fn disabled_conf(paths: &Paths, role: Role) -> PathBuf {
    conf(paths, role).with_extension("conf.disabled")
}

/// The name of a role's unit.
pub(crate) fn unit_name(role: Role) -> String {
    format!("pcoip-cmsg-{}.service", role.command())
}

/// The file of a role's unit.
pub(crate) fn unit(paths: &Paths, role: Role) -> PathBuf {
    paths.root().join("etc/systemd/system").join(unit_name(role))
}

/// The link by which systemd starts a role at boot.
pub(crate) fn unit_at_boot(paths: &Paths, role: Role) -> PathBuf {
    paths.root().join("etc/systemd/system/multi-user.target.wants").join(unit_name(role))
}

/// What the supervisor and the roles print.
pub(crate) fn supervise_log(paths: &Paths) -> PathBuf {
    paths.logs().join("supervise.log")
}

/// Every file that the installer writes, but the daemon.
pub(crate) fn files(paths: &Paths) -> Vec<PathBuf> {
    let disabled = [Role::Cm, Role::Sg].map(|role| disabled_conf(paths, role));
    let confs = [Role::Cm, Role::Sg].map(|role| conf(paths, role));
    let certs = [certificate, key, authority, signing_key, verifying_certificates];
    let engine = [stack(paths), host_authorities(paths), previous(paths)];
    let others = disabled.into_iter().chain([answers(paths), record(paths)]).chain(engine);
    let later = FILES.map(|setting| copy(paths, setting));
    let secrets = settings::passwords().map(|setting| secret(paths, setting));
    let certs = certs.map(|file| file(paths)).into_iter().chain(later);
    confs.into_iter().chain(certs).chain(others).chain(secrets).collect()
}

/// Those of them that a role reads when it starts.
pub(crate) fn read_by(paths: &Paths, role: Role) -> Vec<PathBuf> {
    let jwt = match role {
        Role::Cm => signing_key(paths),
        Role::Sg => verifying_certificates(paths),
    };
    vec![conf(paths, role), certificate(paths), key(paths), authority(paths), jwt]
}

/// The stack file, which the installer writes for Docker Swarm.
pub(crate) fn stack(paths: &Paths) -> PathBuf {
    paths.data().join("stack.yaml")
}

/// The copy of the operator's own compose file.
pub(crate) fn compose_file(paths: &Paths) -> PathBuf {
    paths.data().join("compose-file.yaml")
}

/// The host's bundle of authorities: an image has none.
pub(crate) fn host_authorities(paths: &Paths) -> PathBuf {
    paths.certs().join("host-authorities.crt")
}

/// What supervisor and roles put into the folder of their sockets.
pub(crate) fn run_files(paths: &Paths) -> Vec<PathBuf> {
    let names = ["supervise.pid", "supervise.lock", SUPERVISOR, "cm.sock", "sg.sock"];
    let rejected = [Role::Cm, Role::Sg].map(rejected::name);
    names.into_iter().chain(rejected).map(|name| paths.run().join(name)).collect()
}

/// Files of a role's own where versions before `state` had them: its journal, and the mark of a
/// drain. The journal comes first.
pub(crate) fn former_state(paths: &Paths, role: Role) -> [PathBuf; 2] {
    let names = match role {
        Role::Cm => ["connection-manager.sessions", "connection-manager.draining"],
        Role::Sg => ["security-gateway.journal", "security-gateway.draining"],
    };
    names.map(|name| paths.data().join(name))
}

/// What every name of an unfinished or kept file of the installer has in it.
const ASIDE: &str = ".pcoip-cmsg-setup-";

/// What comes behind that for a file that is being replaced.
const OLD: &str = "old";

/// What comes behind that for a file that is being written.
const NEW: &str = "new";

/// The files of the installer and the roles whose names are always the same, and the folder of what
/// was adopted.
pub(crate) fn known_files(paths: &Paths) -> BTreeSet<PathBuf> {
    let former = [Role::Cm, Role::Sg].into_iter().flat_map(|role| former_state(paths, role));
    let daemons = [paths.daemon(), previous_daemon(paths), supervise_log(paths)];
    let others = [compose_file(paths), adopted(paths)];
    let all = files(paths).into_iter().chain(run_files(paths)).chain(former);
    all.chain(daemons).chain(others).collect()
}

/// Whether a name in one of the own folders is that of a log, of a role's state or of an unfinished
/// copy of one of the known files.
pub(crate) fn is_own_name(paths: &Paths, known: &BTreeSet<PathBuf>, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_in = |folder: &Path| path.parent() == Some(folder);
    is_in(&paths.state()) && STATE.contains(&&*name)
        || is_in(&paths.connection_manager_logs()) && is_log("pcoip-connmgr_", &name)
        || is_in(&paths.security_gateway_logs()) && is_log("pcoip-sg_", &name)
        || hidden_name(&name).is_some_and(|whole| known.contains(&path.with_file_name(whole)))
}

/// The files of the roles in the folder of their state, also while they are written, and set aside
/// since they were damaged.
const STATE: [&str; 8] = [
    "connection-manager.draining",
    "connection-manager.sessions",
    "connection-manager.sessions.new",
    "connection-manager.sessions.damaged",
    "security-gateway.draining",
    "security-gateway.journal",
    "security-gateway.journal.new",
    "security-gateway.journal.damaged",
];

/// Whether a role gives a log such a name, with or without a number, compressed or not.
fn is_log(role: &str, name: &str) -> bool {
    let stem = name
        .strip_suffix(".gz.new")
        .or_else(|| name.strip_suffix(".gz"))
        .unwrap_or(name)
        .strip_suffix(".log");
    let Some(stamp) = stem.and_then(|stem| stem.strip_prefix(role)) else { return false };
    let shapes = ["0000_00_00T00_00_00_000Z", "0000_00_00T00_00_00_000Z0000000"];
    let digits_as_zero = |c: char| if c.is_ascii_digit() { '0' } else { c };
    shapes.contains(&&*stamp.chars().map(digits_as_zero).collect::<String>())
}

/// The name of the file whose unfinished or old copy has that name.
fn hidden_name(name: &str) -> Option<&str> {
    let (whole, suffix) = name.strip_prefix('.')?.rsplit_once(ASIDE)?;
    [OLD, NEW].contains(&suffix).then_some(whole)
}

/// Folders that only this product uses.
pub(crate) fn own_folders(paths: &Paths) -> Vec<PathBuf> {
    vec![
        paths.base(),
        paths.data(),
        paths.state(),
        secrets(paths),
        paths.certs(),
        paths.run(),
        bin(paths),
        paths.connection_manager_logs(),
        paths.security_gateway_logs(),
    ]
}

/// Those of them that nobody but the installing user may change; on the machine itself the others
/// are the account's.
pub(crate) fn installers_folders(paths: &Paths) -> Vec<PathBuf> {
    let is_accounts = |folder: &PathBuf| {
        *folder == paths.run() || folder.starts_with(paths.logs()) || *folder == paths.state()
    };
    let mut folders = own_folders(paths);
    folders.retain(|folder| !(is_machine(paths) && is_accounts(folder)));
    folders
}

/// Where the daemon lies.
pub(crate) fn bin(paths: &Paths) -> PathBuf {
    paths.base().join("bin")
}

/// Every folder that must be there, outer ones first, from the file system's root on.
pub(crate) fn all_folders(paths: &Paths) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in own_folders(paths) {
        let ancestors: Vec<_> = folder.ancestors().map(Path::to_owned).collect();
        for ancestor in ancestors.into_iter().rev() {
            if !all.contains(&ancestor) {
                all.push(ancestor);
            }
        }
    }
    all
}

/// The folder of what is kept of the product that was taken over.
pub(crate) fn adopted(paths: &Paths) -> PathBuf {
    paths.data().join("adopted")
}

/// The file that deploys its services again.
pub(crate) fn adopted_stack(paths: &Paths) -> PathBuf {
    adopted(paths).join("stack.yaml")
}

/// Where a file waits that is being replaced. The name is nobody else's.
pub(crate) fn aside(path: &Path) -> PathBuf {
    hidden(path, OLD)
}

/// Where a file is written before it is put in place.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    hidden(path, NEW)
}

fn hidden(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ASIDE);
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_folders_come_before_inner_ones() {
        let all = all_folders(&Paths::under("/r"));

        assert_eq!(all[..3], ["/", "/r", "/r/opt"].map(PathBuf::from));
        for (index, folder) in all.iter().enumerate().skip(1) {
            let parent = folder.parent().unwrap();
            assert!(all[..index].iter().any(|outer| outer == parent), "{}", folder.display());
        }
    }

    #[test]
    fn a_disabled_configuration_lies_beside_the_other() {
        assert_eq!(
            disabled_conf(&Paths::under("/r"), Role::Sg),
            Path::new("/r/opt/teradici/pcoipcm_data/data/SecurityGateway.conf.disabled")
        );
    }
}
