//! The same where the services of others give way to ours.

use super::*;
use crate::installation::{adopted::Adopted, layout};

const ADOPT: Ask = Ask::Adopt(
    "accept-policies: true\nself-signed: true\nroot: /r\nbroker-url: https://b\n\
     external-pcoip-ip: 192.0.2.1\n",
    "images-1",
);
const CONF: &str = "PcoipAddress = theirs\n";
const STACK: &str = "their services";

/// What is taken over.
pub(super) fn adopted(paths: &Paths) -> Adopted {
    Adopted {
        kept: vec![(layout::adopted_stack(paths), STACK.into())],
        networks: vec!["pcoipcm_theirs".to_owned()],
        ..Adopted::default()
    }
}

/// A host where they run.
fn theirs() -> Site {
    let mut site = Site::after(&[]);
    let conf = Paths::under(site.root()).connection_manager_conf();
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    put(&conf, CONF.as_bytes());
    site.host.engine.swarm = Some("10.0.0.0/8".parse().unwrap());
    site.host.engine.others = ["pcoipcm_theirs", "bridge"].map(str::to_owned).into();
    site.host.engine.services = [("/their/stack.yaml".into(), STACK.to_owned())].into();
    site
}

fn every_death(mut check: impl FnMut(&mut Site, Death)) -> usize {
    for after in 0.. {
        for amid in [false, true] {
            let mut site = theirs();
            let death = Death { after, amid };
            if site.run(ADOPT, Some(death)) {
                return after;
            }
            check(&mut site, death);
        }
    }
    unreachable!("a plan ends")
}

fn services(site: &Site) -> Vec<&str> {
    site.host.engine.services.values().map(String::as_str).collect()
}

fn conf(site: &Site) -> String {
    fs::read_to_string(Paths::under(site.root()).connection_manager_conf()).unwrap()
}

#[test]
fn services_that_are_taken_over_come_back_with_their_files_or_are_gone_for_ours() {
    let mut finished = 0;
    let deaths = every_death(|site, death| {
        assert!(site.run(Ask::Nothing, None));

        if services(site) == [STACK] {
            assert_eq!(finished, 0, "{death:?}: what is done is not undone");
            assert_eq!(conf(site), CONF, "{death:?}");
            assert_eq!(site.host.engine.network, None, "{death:?}");
        } else {
            finished += 1;
            assert!(services(site)[0].contains("PCOIP_CMSG_DEPLOYMENT"), "{death:?}");
            assert!(conf(site).contains("PcoipAddress = https://b\n"), "{death:?}");
            assert_eq!(site.host.engine.others, ["bridge".to_owned()].into());
        }
    });

    assert!(deaths > 20, "{deaths}");
    assert!(finished > 0);
}

#[test]
fn whoever_is_killed_while_taking_over_can_do_it_again() {
    every_death(|site, death| {
        assert!(site.run(ADOPT, None), "{death:?}");

        assert!(services(site)[0].contains("PCOIP_CMSG_DEPLOYMENT"), "{death:?}");
        let kept = fs::read_to_string(layout::adopted_stack(&Paths::under(site.root()))).unwrap();
        assert_eq!(kept, STACK, "{death:?}");
    });
}

#[test]
fn what_is_kept_of_others_goes_only_when_everything_is_purged() {
    let mut site = theirs();
    assert!(site.run(ADOPT, None));
    let kept = layout::adopted_stack(&Paths::under(site.root()));

    assert!(site.run(Ask::Uninstall(false), None));
    assert!(kept.exists());
    assert!(site.run(Ask::Uninstall(true), None));
    assert!(!kept.parent().unwrap().exists());
}
