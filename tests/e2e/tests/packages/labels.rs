//! SELinux labels of the directories that Docker mounts, as the policy compiler reads them.

use std::{fs, io::Write as _, path::Path, process::Command};

use e2e::needs::{Need, met};

use super::made::tell;

const BASE: &str = "(handleunknown allow)(mls true)(sid kernel)(sidorder (kernel))\
    (class file (read))(classorder (file))\
    (sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))\
    (sensitivitycategory s0 (c0))\
    (user system_u)(role object_r)(role system_r)(userrole system_u object_r)\
    (userrole system_u system_r)(userlevel system_u (s0))(userrange system_u ((s0)(s0)))\
    (type kernel_t)(roletype system_r kernel_t)(allow kernel_t self (file (read)))\
    (sidcontext kernel (system_u system_r kernel_t ((s0)(s0))))";

/// The relevant parts of container-selinux.
const CONTAINERS: &str = "(type container_file_t)(roletype object_r container_file_t)\
    (type container_ro_file_t)(roletype object_r container_ro_file_t)";

/// The labels, compiled together with this policy.
fn labels(policy: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [base, compiled, labels] =
        ["base.cil", "policy", "labels"].map(|name| folder.path().join(name));
    let mut file = fs::File::create(&base).expect("a file can be made");
    file.write_all(policy.as_bytes()).expect("the file can be written");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rpm/pcoip-cmsg.cil");
    let mut compile = Command::new("secilc");
    compile.args(["--mls", "true", "--output"]).arg(compiled).arg("--filecontext").arg(&labels);
    tell(compile.arg(base).arg(ours));
    let labels = fs::read_to_string(labels).expect("there is a list of labels");
    let mut labels: Vec<_> = labels.lines().map(str::to_owned).collect();
    labels.sort();
    labels
}

#[test]
fn folders_that_docker_mounts_have_labels_where_there_is_a_policy_for_containers() {
    if !met(&[Need::Tool("secilc")]) {
        return;
    }
    let with = labels(&format!("{BASE}{CONTAINERS}"));

    let expected = [
        "/opt/teradici/pcoipcm_data/certs(/.*)?\tsystem_u:object_r:container_ro_file_t:s0",
        "/opt/teradici/pcoipcm_data/data(/.*)?\tsystem_u:object_r:container_ro_file_t:s0",
        "/opt/teradici/pcoipcm_data/run(/.*)?\tsystem_u:object_r:container_file_t:s0",
        "/opt/teradici/pcoipcm_data/state(/.*)?\tsystem_u:object_r:container_file_t:s0",
        "/var/log/Teradici(/.*)?\tsystem_u:object_r:container_file_t:s0",
    ];
    assert_eq!(with, expected);
    assert_eq!(labels(BASE), Vec::<String>::new());
}
