//! The commands of the administrators' guide that remove its product also remove this one, with the
//! oldest supported and a recent `docker` command, and it can be installed again.

use std::time::{Duration, Instant};

use cmsg_config::socket::Role;
use serde_json::json;

use super::site::{Site, V4};

/// Time until the services respond: 15 seconds, times ten for a busy machine.
const LIMIT: Duration = Duration::from_secs(150);

/// Timeout for background work of the engine.
const MOMENT: Duration = Duration::from_secs(60);

/// The first two steps of the guide, with the line breaks of its layout removed.
const REMOVE: &str = r#"
sudo docker stack rm pcoipcm
sudo docker swarm leave --force
sudo docker rmi -f $(sudo docker images --format "{{.ID}} {{.Repository}}" | grep -E */pcoip-cm | awk '{ print $1 }')
sudo docker rmi -f $(sudo docker images --format "{{.ID}} {{.Repository}}" | grep -E */sg | awk '{ print $1 }')
"#;

/// The next two steps, without packages that this machine lacks.
const CLEAN_UP: &str = "
sudo rm -f /etc/yum.repos.d/teradici-pcoip-cmsg.repo
sudo rm -rf /opt/teradici
sudo rm -rf /var/log/Teradici
";

/// What is left in the engine and in the documented directories. An engine that leaves a swarm
/// while it is still joining may keep the swarm's `ingress` network.
const LEFT: &str = "docker info --format 'swarm {{.Swarm.LocalNodeState}}'
docker ps --all --format 'container {{.Names}} {{.Status}}'
docker images --all --format 'image {{.Repository}}'
docker network ls --filter driver=overlay --format 'network {{.Name}}' | sed '/ ingress$/d'
docker volume ls --format 'volume {{.Name}}'
ls -d /opt/teradici /var/log/Teradici 2>/dev/null || true";

#[test]
#[expect(clippy::print_stdout, reason = "who measures wants to see it")]
fn the_guides_own_commands_remove_it_and_it_installs_again() {
    let Some(site) = Site::fresh() else { return };
    let _desktop = site.desktop(&V4);

    let (installed, deployed) = (install(&site), deploy_by_hand(&site));
    println!(
        "live after {:.1} s by `install`, {:.1} s by `docker stack deploy`",
        installed.as_secs_f64(),
        deployed.as_secs_f64()
    );
    assert!(installed < LIMIT, "{installed:?}");

    // Debian's, 20.10; configuration, keys and logs stay.
    let told = follow(&site, "/usr/bin:/usr/sbin:/bin:/sbin", REMOVE);
    leaves(&site, &told, &["swarm inactive", "/opt/teradici", "/var/log/Teradici"]);
    install(&site);

    let path = std::env::var("PATH").expect("there is a path");
    let told = follow(&site, &path, &[REMOVE, CLEAN_UP].concat());
    leaves(&site, &told, &["swarm inactive"]);
    install(&site);
}

/// Installs, runs a session, and returns how long it took until everything responded.
fn install(site: &Site) -> Duration {
    let begun = Instant::now();
    let document = site.install(&[]);
    let took = begun.elapsed();
    assert_eq!(document["outcome"], json!("done"));
    for role in [Role::Cm, Role::Sg] {
        site.ready(role);
    }
    site.session(&V4);
    took
}

/// Removes the services, deploys the existing stack file, and returns the time until they respond.
fn deploy_by_hand(site: &Site) -> Duration {
    site.shell("docker stack rm pcoipcm");
    let begun = Instant::now();
    while !site.processes().is_empty() {
        assert!(begun.elapsed() < LIMIT, "{:?}", site.processes());
        std::thread::yield_now();
    }
    let file = "/opt/teradici/pcoipcm_data/data/stack.yaml";
    let begun = Instant::now();
    site.shell(&format!("docker stack deploy --resolve-image never -c {file} pcoipcm"));
    while [Role::Cm, Role::Sg].iter().any(|role| site.status(*role).is_err()) {
        assert!(begun.elapsed() < LIMIT, "{:?}", site.tasks());
        std::thread::yield_now();
    }
    begun.elapsed()
}

/// Runs the commands of the guide in a root shell. It is not a script: a failing command, such as
/// the second `rmi` after the first has removed both images, does not stop it.
fn follow(site: &Site, path: &str, commands: &str) -> String {
    let script = format!("sudo() {{ \"$@\"; }}\ncd ~\n{commands}");
    let mut shell = site.machine.command("bash");
    let output = shell.env("PATH", path).args(["-c", &script]).output().expect("`bash` starts");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Waits until only this is left, since the engine needs a moment to remove stopped containers.
fn leaves(site: &Site, told: &str, expected: &[&str]) {
    let left = || site.shell(LEFT).lines().map(str::to_owned).collect::<Vec<_>>();
    let begun = Instant::now();
    while left() != expected && begun.elapsed() < MOMENT {
        std::thread::yield_now();
    }
    assert_eq!(left(), expected, "{told}");
    assert_eq!(site.processes(), [] as [&str; 0]);
}
