//! A machine with routes only to its clients, broker and desktops, installed and updated from
//! bundles.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};

use e2e::{
    binaries,
    installer::document,
    needs::{Need, met},
    rpm,
};
use serde_json::{Value, json};

use super::site::{Site, V4};

/// Where the package puts the installer. `/usr` is shared by all machines.
const PROGRAM: &str = "/opt/of-the-package/bin/pcoip-cmsg-setup";

/// A `dnf` without repositories, which calls `rpm`.
const DNF: &str = "#!/bin/sh
echo \"dnf $*\" >> /var/log/dnf.said
for word; do case $word in *.rpm) rpm --dbpath /var/lib/rpm --upgrade --nodeps --noscripts \"$word\" || exit 1;; esac; done
";

/// The commands of the guide, in the directory of the bundle.
const GUIDE: &str = "tar xzvf pcoip-cmsg-setup_darksite-0.1.0.el9.tar.gz && \
                     cd teradici-pcoip-cmsg-bundle && ./pcoip-cmsg-setup-offline.sh";

/// The installed package of a staging host: the installer, and the images of this version beside
/// it.
fn staging(folder: &Path, version: &str) -> PathBuf {
    let own = folder.join(version);
    fs::create_dir(&own).expect("a folder can be made");
    let setup = own.join("pcoip-cmsg-setup");
    fs::copy(binaries::path("pcoip-cmsg-setup"), &setup).expect("it can be copied");
    let daemon = binaries::folder().parent().expect("it has one").to_owned();
    let made = binaries::command("xtask")
        .args(["images", "--image-version", version, "--daemon"])
        .arg(daemon.join("x86_64-unknown-linux-gnu/debug/pcoip-cmsgd"))
        .arg("--to")
        .arg(own.join("pcoip-cmsg-images.tar"))
        .output()
        .expect("`xtask` starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    setup
}

/// A bundle with images of this version, whose manifest this installer accepts.
fn bundle(folder: &Path, version: &str, package: &Path) -> PathBuf {
    let to = folder.join(format!("{version}.tar.gz"));
    let made = std::process::Command::new(staging(folder, version))
        .args(["create-darksite-bundle", "--output=json", "--pcoip-cmsg-rpm-path"])
        .arg(package)
        .arg("--to")
        .arg(&to)
        .output()
        .expect("the installer starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told = &document(&made)["bundle"];
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["size"], json!(to.metadata().expect("it is there").len()));
    to
}

/// A package whose installer has no images beside it.
fn package(folder: &Path) -> PathBuf {
    let bare = folder.join("bare");
    fs::create_dir(&bare).expect("a folder can be made");
    let setup = bare.join("pcoip-cmsg-setup");
    fs::copy(binaries::path("pcoip-cmsg-setup"), &setup).expect("it can be copied");
    let program = format!("#!/bin/sh\nexec {} \"$@\"\n", setup.display());
    rpm::package(folder, "pcoip-cmsg-setup", "1.el9", (PROGRAM, &program))
}

/// Runs a script on the machine, with the package's installer and our `dnf` on the path.
fn typed(site: &Site, folder: &Path, script: &str) -> Output {
    let path = format!("{}:/opt/of-the-package/bin", folder.join("bin").display());
    let script = format!("cd {} && export PATH={path}:$PATH && {script}", folder.display());
    site.machine.command("bash").args(["-c", &script]).output().expect("`bash` starts")
}

fn done(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    let text = String::from_utf8_lossy(&output.stdout);
    // What `tar xzvf` lists comes first.
    let begin = text.find('{').expect("there is a document");
    serde_json::from_str(&text[begin..]).expect("it is one")
}

/// The versions of the images that the services run.
fn running(site: &Site) -> String {
    site.shell(
        "for service in pcoipcm_cm pcoipcm_sg; do
           image=$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' $service)
           docker image inspect --format '{{index .RepoTags 0}}' $image
         done",
    )
}

#[test]
fn a_machine_without_a_network_is_installed_from_a_bundle_and_updated_from_the_next() {
    if !met(&[Need::Tool("rpmbuild"), Need::Tool("rpm"), Need::Tool("tar")]) {
        return;
    }
    let Some(site) = Site::fresh() else { return };
    let folder = site.machine.folder().join("carried");
    fs::create_dir(&folder).expect("a folder can be made");
    let package = package(&folder);
    let (first, second) = (bundle(&folder, "9.0.0", &package), bundle(&folder, "9.1.0", &package));
    symlink(&first, folder.join("pcoip-cmsg-setup_darksite-0.1.0.el9.tar.gz")).expect("it can");
    fs::create_dir(folder.join("bin")).expect("a folder can be made");
    let dnf = folder.join("bin/dnf");
    site.shell(&format!("cat > {0} <<'END'\n{DNF}END\nchmod 755 {0}", dnf.display()));
    // Requests beyond the two networks would be noticed here.
    site.shell(
        "ip link add far type veth peer name beyond && \
         sysctl -qw net.ipv6.conf.{far,beyond}.disable_ipv6=1 && \
         ip link set beyond up && ip link set far up && ip address add 198.51.100.2/24 dev far && \
         ip route add default via 198.51.100.1",
    );
    let _desktop = site.desktop(&V4);

    let flags = "--output=json --accept-policies --self-signed --ignore-disk-req \
                 --broker-url=https://broker.corp.example --external-pcoip-ip=203.0.113.1";
    let installed = done(&typed(&site, &folder, &format!("{GUIDE} {flags}")));

    assert_eq!(installed["outcome"], "done");
    let [cm, sg] = ["pcoip-cm", "sg"].map(|it| format!("localhost/pcoip-cmsg/{it}"));
    assert_eq!(running(&site), format!("{cm}:9.0.0\n{sg}:9.0.0\n"));
    let said = site.shell("cat /var/log/dnf.said");
    let here = folder.join("teradici-pcoip-cmsg-bundle");
    let file = package.file_name().expect("it has one").to_string_lossy().into_owned();
    let expected = format!(
        "dnf install --disablerepo=* --allowerasing -y {}/dependencies/{file}\n",
        here.display()
    );
    assert_eq!(said, expected);
    site.session(&V4);

    // The archive itself, without repeating flags.
    let update =
        format!("{PROGRAM} update --output=json --darksite-bundle-path {}", second.display());
    let updated = done(&typed(&site, &folder, &update));

    assert_eq!((&updated["outcome"], &updated["restarts"]), (&json!("done"), &json!(["cm", "sg"])));
    assert_eq!(updated["settings"]["broker-url"]["from"], "saved");
    assert_eq!(running(&site), format!("{cm}:9.1.0\n{sg}:9.1.0\n"));
    site.session(&V4);

    assert_eq!(site.shell("awk '$1 == \"far:\" { print $11 }' /proc/net/dev"), "0\n");

    // A rollback needs no bundle.
    let back = done(&typed(&site, &folder, &format!("{PROGRAM} rollback --output=json")));
    assert_eq!(back["outcome"], "done");
    assert_eq!(running(&site), format!("{cm}:9.0.0\n{sg}:9.0.0\n"));
}
