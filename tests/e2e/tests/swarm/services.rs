//! Operations on one service do not affect the other.

use std::{path::Path, time::Duration};

use cmsg_config::socket::Role;
use cmsg_engine::{LABEL, LABEL_VALUE};
use e2e::needs::met;

use super::{NEEDS, deployment::Deployment};

const CM: &str = "pcoipcm_cm";
const SG: &str = "pcoipcm_sg";

#[test]
fn what_is_done_to_one_service_does_not_concern_the_other() {
    if !met(NEEDS) {
        return;
    }
    let site = Deployment::deployed();
    let engine = &site.engine;
    for role in [Role::Cm, Role::Sg] {
        site.live(role);
    }
    let (cm, sg) = (site.container(CM), site.container(SG));
    let docker = Path::new("/usr/bin/docker");
    let inspect = ["service", "inspect", "--format", "{{json .Spec}}", CM];
    let spec = || site.machine.tell("/usr/bin/docker", &inspect);

    // Deploying the same file again changes nothing.
    engine.deploy(docker, &[site.write_stack()]).unwrap();
    assert_eq!((site.container(CM), site.container(SG)), (cm.clone(), sg.clone()));

    let before = spec();
    engine.restart_service(docker, CM).unwrap();
    site.until("the Connection Manager comes back", |engine| {
        let running = engine.running(CM).unwrap();
        running.len() == 1 && running[0].container != cm
    });
    assert_eq!(site.container(SG), sg);
    // Only the service's restart counter has changed.
    assert_eq!(spec().replace("\"ForceUpdate\":1", "\"ForceUpdate\":0"), before);

    engine.scale_service(docker, CM, 0).unwrap();
    assert!(engine.wait_stopped(CM, Duration::from_secs(60)).unwrap());
    let facts = engine.facts().unwrap();
    let fact = facts.services.iter().find(|service| service.name == CM).unwrap();
    assert_eq!((fact.desired, fact.running), (0, 0));
    engine.remove_service(CM).unwrap();
    engine.remove_service(CM).unwrap();
    assert!(engine.wait_gone(CM, Duration::from_secs(60)).unwrap());
    assert!(!engine.wait_stopped(SG, Duration::from_millis(1)).unwrap());
    assert!(!engine.wait_gone(SG, Duration::from_millis(1)).unwrap());
    assert_eq!(site.container(SG), sg);
    let names: Vec<_> = engine.facts().unwrap().services.into_iter().map(|s| s.name).collect();
    assert_eq!(names, [SG]);
    let error = engine.restart_service(docker, CM).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`docker service update` failed: Error: No such service: pcoipcm_cm"
    );
}

#[test]
fn the_facts_of_a_service_are_what_the_stack_file_says() {
    if !met(NEEDS) {
        return;
    }
    let site = Deployment::deployed();
    site.live(Role::Sg);

    let facts = site.engine.facts().unwrap();
    let fact = facts.services.iter().find(|service| service.name == SG).unwrap();
    let image = site.engine.image_id(&site.archive.image(Role::Sg).unwrap().tag).unwrap().unwrap();

    assert_eq!((fact.image.as_str(), fact.user.as_str()), (image.as_str(), "977:977"));
    assert_eq!((fact.stack.as_deref(), fact.is_ours), (Some("pcoipcm"), true));
    assert_eq!(fact.labels.get(LABEL).map(String::as_str), Some(LABEL_VALUE));
    assert_eq!(fact.labels["pcoip-cmsg.version"], env!("CARGO_PKG_VERSION"));
    let authorities = site.paths.certs().join("cmsg.crt");
    assert_eq!(fact.environment["SSL_CERT_FILE"], authorities.to_str().unwrap());
    let mounts: Vec<_> = fact.mounts.iter().map(|m| (m.target.clone(), m.is_read_only)).collect();
    assert_eq!(
        mounts,
        [
            (site.paths.certs(), true),
            (site.paths.data(), true),
            (site.paths.run(), false),
            (site.paths.state(), false),
            (site.paths.security_gateway_logs(), false),
        ]
    );
    assert!(fact.mounts.iter().all(|mount| mount.source == mount.target));
    assert_eq!(site.running(SG).image, image);
    assert!(fact.version > 0 && fact.updated >= fact.created, "{fact:?}");
}

#[test]
fn a_service_that_keeps_dying_leaves_its_last_words() {
    if !met(NEEDS) {
        return;
    }
    let site = Deployment::prepare();
    site.engine.load_images(&site.archive.source, |_| ()).unwrap();
    site.engine.make_swarm("10.101.128.0/17").unwrap();
    let conf = site.paths.security_gateway_conf();
    let broken = format!("echo 'ListenAddress = \u{7}nowhere' > '{}'", conf.display());
    site.machine.tell("bash", &["-c", &broken]);

    site.engine.deploy(Path::new("/usr/bin/docker"), &[site.write_stack()]).unwrap();
    let failure = || site.engine.last_failure(SG, None, 20).unwrap();
    site.until("its tasks fail", |_| failure().is_some_and(|failure| !failure.log.is_empty()));
    let first = failure().unwrap();
    // Even when its container was replaced and removed.
    site.until("another one fails", |_| failure().unwrap().when != first.when);
    let told = failure().unwrap();

    assert_eq!((told.state.as_str(), told.error.as_str()), ("failed", "task: non-zero exit (64)"));
    assert_eq!(told.exit_code, Some(64));
    assert!(told.log.iter().any(|line| line.contains("ListenAddress")), "{told:?}");
    assert!(!told.log.concat().contains(char::is_control), "{told:?}");
    assert_eq!(site.engine.last_failure(CM, None, 20).unwrap(), None);
    assert_eq!(site.engine.last_failure("pcoipcm_none", None, 20).unwrap(), None);
}

#[test]
fn a_task_that_does_not_even_start_says_why() {
    if !met(NEEDS) {
        return;
    }
    let site = Deployment::prepare();
    site.engine.load_images(&site.archive.source, |_| ()).unwrap();
    site.engine.make_swarm("10.101.128.0/17").unwrap();
    let run = site.paths.run();
    let stack = site.write_stack();
    site.machine.tell("rm", &["-r", run.to_str().unwrap()]);

    site.engine.deploy(Path::new("/usr/bin/docker"), &[stack]).unwrap();
    let failure = || site.engine.last_failure(SG, None, 20).unwrap();
    site.until("its task is rejected", |_| failure().is_some());

    let told = failure().unwrap();
    assert_eq!(told.state, "rejected");
    let path = format!("bind source path does not exist: {}", run.display());
    assert!(told.error.contains(&path), "{told:?}");
    assert_eq!(told.log, Vec::<String>::new());
}
