//! Taking over services that another product has deployed, on a real engine.

#[path = "adopting/theirs.rs"]
mod theirs;

use std::fs;

use serde_json::Value;

use theirs::{CM, CONF, SG, Theirs};

const ADOPT: [&str; 4] = ["install", "--adopt", "--accept-policies", "--ignore-disk-req"];

fn ids(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().into_iter().flatten();
    findings.filter_map(|finding| finding["id"].as_str()).collect()
}

#[test]
fn services_are_taken_over_with_all_they_had_and_can_be_gone_back_to() {
    let Some(site) = Theirs::running() else { return };
    let before = site.containers();

    let (refused, told) = site.setup(&["install", "--accept-policies", "--self-signed"]);
    assert_eq!(refused, Some(3), "{told}");
    assert!(ids(&told).contains(&"stack.others"), "{told}");
    let (planned, told) = site.setup(&[&ADOPT[..], &["--dry-run"]].concat());
    assert_eq!(planned, Some(0), "{told}");
    let steps = told["plan"].as_array().expect("there is a plan").iter();
    let steps: Vec<_> = steps.filter_map(|step| step["step"].as_str()).collect();
    let place = |name| steps.iter().position(|step| *step == name).expect(name);
    assert!(
        place("back up the existing installation") < place("write ConnectionManager.conf"),
        "{steps:?}"
    );
    assert_eq!(
        place("remove the existing services") + 1,
        place("create the network pcoipcm_network"),
        "{steps:?}"
    );
    assert_eq!(site.containers(), before);

    let (done, told) = site.setup(&ADOPT);
    assert_eq!(done, Some(0), "{told}");
    let of =
        |name: &str| (told["settings"][name]["value"].clone(), &told["settings"][name]["from"]);
    let adopted = Value::from("adopted");
    assert_eq!(of("broker-url"), ("https://127.0.0.1:1".into(), &adopted));
    assert_eq!(of("external-pcoip-ip"), (vec!["203.0.113.1"].into(), &adopted));
    assert_eq!(of("license-server-url"), (vec!["https://127.0.0.1:2"].into(), &adopted));
    assert!(site.serves_its_certificate());
    assert_eq!(site.services(), ["pcoipcm_cm ours", "pcoipcm_sg ours"]);
    let conf = site.read(CONF);
    for line in ["PcoipAddress = https://127.0.0.1:1", "MaxConnections = 77", "TheirKey = 1"] {
        assert!(conf.lines().any(|it| it == line), "{line}: {conf}");
    }
    let (again, told) = site.setup(&ADOPT);
    assert_eq!(again, Some(0), "{told}");
    assert!(ids(&told).contains(&"adopt.nothing"), "{told}");

    let (removed, told) = site.setup(&["uninstall", "--yes"]);
    assert_eq!(removed, Some(0), "{told}");
    let images = site.machine.tell("/usr/bin/docker", &["images", "--format={{.Repository}}"]);
    let mut images: Vec<_> = images.lines().collect();
    images.sort_unstable();
    assert_eq!(images, [CM, SG].map(|it| it.split(':').next().expect("it has a name")));
    site.machine.tell("bash", &["-c", theirs::WAY_BACK]);
    site.wait_until_it_serves();
    assert_eq!(site.services(), ["pcoipcm_cm theirs", "pcoipcm_sg theirs"]);
    assert_eq!(site.read(CONF), theirs::MANAGER);
}

#[test]
fn services_come_back_when_ours_do_not_start() {
    let Some(mut site) = Theirs::running() else { return };
    // Taking back begins with that, and may find them untouched.
    let before = site.containers();
    site.deploy_again_as_it_is();
    assert_eq!(site.containers(), before);
    site.have_deployments_of_ours_fail();

    let (failed, told) = site.setup(&ADOPT);

    assert_eq!(failed, Some(1), "{told}");
    let left: Vec<_> = ids(&told).into_iter().filter(|id| id.starts_with("step.")).collect();
    assert_eq!(left, ["step.failed"], "{told}");
    site.wait_until_it_serves();
    assert_eq!(site.services(), ["pcoipcm_cm theirs", "pcoipcm_sg theirs"]);
    assert_eq!(site.read(CONF), theirs::MANAGER);
    let networks = site.machine.tell("/usr/bin/docker", &["network", "ls", "--format={{.Name}}"]);
    assert!(!networks.contains("pcoipcm_network"), "{networks}");
    let kept = site.machine.path("/opt/teradici/pcoipcm_data/data/adopted");
    assert!(fs::symlink_metadata(kept).expect("the copies stay").is_dir());
}

#[test]
fn an_engine_that_does_not_run_is_started_before_it_is_asked_what_is_to_be_taken_over() {
    let Some(mut site) = Theirs::running() else { return };
    site.stop_engine();

    let (done, told) = site.setup(&[&ADOPT[..], &["--yes"]].concat());

    assert_eq!(done, Some(0), "{told}");
    assert_eq!(told["settings"]["broker-url"]["from"], "adopted", "{told}");
    assert_eq!(site.services(), ["pcoipcm_cm ours", "pcoipcm_sg ours"]);
    assert!(site.serves_its_certificate());
}
