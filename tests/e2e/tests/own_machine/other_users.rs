//! Files that an unprivileged user can plant where root looks.

use std::process::Output;

use e2e::{
    binaries,
    installer::{self, INSTALL_ON_HOST, told, with},
};

use crate::installed::Site;

/// A user without relation to the installation.
const OTHER: &str = "12345";

fn install(site: &Site, program: &str, root: &str) -> Output {
    let root = format!("--root={root}");
    let own = ["--broker-url=https://localhost:8443", "--allowed-agents=127.0.0.1", &root];
    let words = with(&INSTALL_ON_HOST, &own);
    let command = installer::command(&site.machine, program.as_ref(), &words).output();
    command.expect("the installer can be run")
}

#[test]
fn a_folder_of_another_user_below_the_root_is_refused_before_anything_is_made_in_it() {
    let Some(site) = Site::fresh() else { return };
    let setup = binaries::path("pcoip-cmsg-setup").display().to_string();
    for folder in ["opt", "opt/teradici/pcoipcm_data/bin", "opt/teradici/pcoipcm_data/data/secrets"]
    {
        site.machine.tell("mkdir", &["-p", &format!("/root/site/{folder}")]);
        site.machine.tell("chown", &[OTHER, &format!("/root/site/{folder}")]);

        let (code, document) = told(&install(&site, &setup, "/root/site"));

        assert_eq!(code, Some(3), "{folder}: {document:#}");
        let finding = &document["findings"][0];
        assert_eq!(finding["id"], "installation.untrusted", "{document:#}");
        let what = finding["what"].as_str().unwrap_or_default();
        assert!(what.contains(&format!("`/root/site/{folder}` belongs to user {OTHER}")), "{what}");
        assert_eq!(site.machine.tell("find", &["/root/site", "-type", "f"]), "");
        site.machine.tell("rm", &["-r", "/root/site"]);
    }
}

#[test]
fn a_daemon_that_another_user_put_beside_the_installer_is_not_installed() {
    let Some(site) = Site::fresh() else { return };
    site.machine.tell("mkdir", &["--mode=1777", "/root/shared"]);
    let setup = binaries::path("pcoip-cmsg-setup").display().to_string();
    site.machine.tell("cp", &[&setup, "/root/shared/pcoip-cmsg-setup"]);
    site.machine.tell("cp", &["/bin/true", "/root/shared/pcoip-cmsgd"]);
    site.machine.tell("chown", &[OTHER, "/root/shared/pcoip-cmsgd"]);

    let (code, document) = told(&install(&site, "/root/shared/pcoip-cmsg-setup", "/root/site"));

    assert_eq!(code, Some(3), "{document:#}");
    assert_eq!(document["findings"][0]["id"], "daemon.untrusted", "{document:#}");
    site.machine.tell("test", &["!", "-e", "/root/site/opt"]);
}
