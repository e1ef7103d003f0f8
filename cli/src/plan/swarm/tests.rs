use std::collections::BTreeMap;

use cmsg_engine::{
    ImageFact,
    archive::{ArchivedImage, ImageArchive},
};

use super::*;
use crate::{
    host::engine::{Deploying, EngineFact},
    plan::{
        self,
        tests::{facts, wanted},
    },
    step::{pull_images::PullImages, write::Write},
    system::recorder::Recorder,
};

const SWARM: &str = "accept-policies: true\nself-signed: true\nbroker-url: https://b\n\
                     external-pcoip-ip: 192.0.2.1\n";
const REGISTRY: &str = "docker-registry: r.example:5000/team\n";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn deploying() -> Deploying {
    let archived = |role: Role| ArchivedImage {
        role,
        tag: format!("{}:1", role.command()),
        layer: "sha256:1".to_owned(),
    };
    let images = [Role::Cm, Role::Sg].map(archived).into();
    let images = Ok(ImageArchive { source: "/images.tar".into(), bytes: 1, images });
    Deploying { has_command: true, images, environment: BTreeMap::new(), is_left_at_boot: false }
}

/// An image's name, and its layer if it is ours.
type There<'a> = (&'a str, Option<&'a str>);

/// The steps at the engine, with what is there already.
fn steps(text: &str, there: &[There<'_>]) -> Vec<Step> {
    let (wanted, answers) = wanted(&format!("{SWARM}{text}"));
    let mut facts = facts(&wanted);
    let image = |(name, layer): &There<'_>| ImageFact {
        id: format!("sha256:{name}"),
        tags: vec![(*name).to_owned()],
        layer: layer.map(str::to_owned),
    };
    let images = there.iter().map(image).collect();
    facts.engine = EngineFact::There(Box::new(EngineFacts { images, ..EngineFacts::default() }));
    facts.deploying = Some(deploying());
    facts.given.insert(Setting::DockerPassword, Ok("s3cret".into()));
    let mut steps = plan::install(&wanted, &facts, &answers).steps;
    steps.retain(|step| {
        matches!(
            step,
            Step::EnableEngine(_)
                | Step::LoadImages(_)
                | Step::PullImages(_)
                | Step::MakeSwarm(_)
                | Step::MakeNetwork(_)
                | Step::WriteStack(_)
                | Step::Deploy(_)
                | Step::RemoveServices(_)
                | Step::LeaveEngine(_)
        )
    });
    steps
}

fn name(role: &str) -> String {
    format!("r.example:5000/team/{role}:{VERSION}")
}

#[test]
fn with_a_registry_what_is_not_there_is_pulled_and_the_archive_stays_where_it_is() {
    let (cm, sg) = (name("pcoip-cm"), name("sg"));
    let ours = Some("sha256:1");
    let table: [(&[There<'_>], &[Role], &[&String]); 4] = [
        (&[], &[Role::Cm, Role::Sg], &[&cm, &sg]),
        (&[(&cm, ours)], &[Role::Sg], &[&sg]),
        // Somebody else's image has the name: the registry's takes it, and does not go with us.
        (&[(&cm, ours), (&sg, None)], &[Role::Sg], &[]),
        (&[(&cm, ours), (&sg, ours)], &[], &[]),
    ];
    for (there, pulled, new) in table {
        let steps = steps(REGISTRY, there);

        assert!(!steps.iter().any(|step| matches!(step, Step::LoadImages { .. })));
        let pulls = steps.iter().find_map(|step| match step {
            Step::PullImages(PullImages { registry, who: None, roles, images }) => {
                Some((registry.as_str(), &roles[..], images.iter().collect::<Vec<_>>()))
            }
            _ => None,
        });
        let expected = (!pulled.is_empty()).then(|| ("r.example:5000/team", pulled, new.to_vec()));
        assert_eq!(pulls, expected);
    }
}

#[test]
fn the_password_goes_with_the_pull_and_nowhere_else() {
    let text = format!("{REGISTRY}docker-username: me\ndocker-password: '@/p'\n");

    let steps = steps(&text, &[]);

    let Step::PullImages(PullImages { who: Some(who), .. }) = &steps[0] else {
        panic!("{steps:?}")
    };
    assert_eq!((who.user.as_str(), who.password.bytes()), ("me", &b"s3cret"[..]));
    for step in &steps {
        assert!(!format!("{step:?}").contains("s3cret"), "{step:?}");
        let changes = step.changes();
        assert!(!changes.contains("s3cret"), "{changes}");
    }
}

#[test]
fn an_engine_that_does_not_start_at_boot_is_enabled_and_left_as_it_was_when_that_is_undone() {
    let (wanted, answers) = wanted(SWARM);
    let mut facts = facts(&wanted);
    facts.engine = EngineFact::There(Box::default());
    facts.deploying = Some(Deploying { is_left_at_boot: true, ..deploying() });

    let plan = plan::install(&wanted, &facts, &answers);

    let enables = Step::EnableEngine(EnableEngine);
    assert_eq!(plan.steps.first(), Some(&enables));
    let mut system = Recorder::default();
    enables.perform(&mut system).unwrap();
    for trace in enables.traces() {
        trace.undo(&Paths::under("/r"), &mut system).unwrap();
    }
    assert_eq!(system.calls, ["enable docker", "disable docker"]);
    assert!(!steps("", &[]).contains(&enables));
}

#[test]
fn a_compose_file_lies_below_our_own_and_a_change_of_it_starts_the_services_anew() {
    let paths = Paths::under("/");
    let draft = |text: &str| {
        let (wanted, answers) = wanted(&format!("{SWARM}compose-file: /mine.yaml\n"));
        let mut facts = facts(&wanted);
        facts.engine = EngineFact::There(Box::default());
        facts.deploying = Some(deploying());
        facts.given.insert(Setting::ComposeFile, Ok(format!("\u{feff}{text}").into_bytes().into()));
        let steps = plan::install(&wanted, &facts, &answers).steps;
        let copy = steps.iter().find_map(|step| match step {
            Step::Write(Write { path, content, .. }) if *path == layout::compose_file(&paths) => {
                Some(content.text())
            }
            _ => None,
        });
        let mut files = Vec::new();
        let mut drafted = None;
        for step in steps {
            match step {
                Step::Deploy(Deploy { files: all, .. }) => files = all,
                Step::WriteStack(WriteStack { stack, .. }) => drafted = Some(stack),
                _ => {}
            }
        }
        assert_eq!(files, [layout::compose_file(&paths), layout::stack(&paths)]);
        assert_eq!(copy.as_deref(), Some(text));
        drafted.unwrap()
    };

    let (one, other) = (draft("version: '3.8'\n"), draft("version: '3.7'\n"));

    assert_eq!(one.compose.unwrap().text(), "version: '3.8'\n");
    for (one, other) in one.services.iter().zip(&other.services) {
        assert_ne!(one.deployment, other.deployment);
    }
}

#[test]
fn a_service_is_another_one_where_its_image_comes_from_elsewhere() {
    let deployments = |text: &str| {
        let services = steps(text, &[]).into_iter().find_map(|step| match step {
            Step::WriteStack(WriteStack { stack, .. }) => Some(stack.services),
            _ => None,
        });
        let services = services.expect("there is a stack").into_iter();
        services.map(|service| service.deployment).collect::<Vec<_>>()
    };

    let (archive, registry) = (deployments(""), deployments(REGISTRY));

    assert_eq!(registry, deployments(REGISTRY));
    assert!(archive.iter().all(|name| !registry.contains(name)));
}
