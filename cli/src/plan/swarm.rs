//! What Docker Swarm is told: images, swarm and network before the files change, the services
//! afterwards. A service starts anew where its deployment has another name, and that comes from what
//! it reads when it starts; certificates and keys it reads again when it is told to.

mod images;

use aws_lc_rs::digest::{SHA256, digest};
use cmsg_config::{
    Paths, memory,
    socket::{Role, Status},
};
use cmsg_engine::{
    EngineFacts, ImageFact, LOCAL, NetworkFact, ServiceFact, SwarmFact, reference,
    stack::{NETWORK, Service},
};
use ipnet::Ipv4Net;

use super::{
    configuration::Configuration,
    turnover::{Turnover, reads_again},
};
use crate::{
    answers::file,
    args::settings::Setting,
    content::Content,
    host::{Facts, networks::free},
    installation::{installed::Installed, layout, previous::Previous},
    step::{
        Step,
        deploy::Deploy,
        enable_engine::EnableEngine,
        hold::Hold,
        leave_engine::LeaveEngine,
        make_network::MakeNetwork,
        make_swarm::MakeSwarm,
        reload::{Reload, Reloaded},
        remove_services::Deployed,
        write_stack::{Draft, WriteStack, stack_files},
    },
    wanted::Wanted,
};
use images::{Image, Source};

/// The size of the range that a swarm of ours takes addresses from.
const POOL: u8 = 20;

/// The steps around those that change files.
pub(super) fn around(
    steps: &[Step],
    wanted: &Wanted,
    facts: &Facts,
    configuration: &Configuration,
) -> Turnover {
    let (Some(engine), Some(images)) = (facts.engine.facts(), Source::of(wanted, facts)) else {
        // Findings refuse it.
        return Turnover::default();
    };
    let paths = wanted.place.paths();
    let compose = compose(wanted, facts);
    let services = services(wanted, facts, configuration, images);
    let installed = &facts.installed;
    let (restarts, runs): (Vec<_>, Vec<_>) =
        installed.live.iter().partition(|status| restarts(status, &services));
    let roles = |all: Vec<&Status>| all.into_iter().map(|status| status.role).collect::<Vec<_>>();
    let (restarts, runs) = (roles(restarts), roles(runs));
    let reloads = runs.iter().copied().filter(|role| reads_again(steps, &paths, *role));
    let reloads: Vec<_> = reloads.collect();

    let is_deployed = engine.services.iter().any(ServiceFact::is_of_installation);
    let mut stops = before(wanted, facts, engine, images);
    let mut held = Vec::new();
    if !reloads.is_empty() {
        held.push(Reloaded(reloads.clone()).into());
    }
    if is_deployed {
        let files =
            stack_files(&paths, installed.files.contains_key(&layout::compose_file(&paths)));
        held.push(Deployed(files, installed.roles(&paths)).into());
    }
    if !held.is_empty() {
        stops.push(Step::Hold(Hold(held)));
    }
    let stack = WriteStack {
        replaces: installed.files.contains_key(&layout::stack(&paths)),
        stack: Draft { paths: paths.clone(), services: services.clone(), compose: compose.clone() },
    };
    let files = stack_files(&paths, compose.is_some());
    let deploy = Deploy { files, is_first: !is_deployed };
    let mut starts = vec![Step::WriteStack(stack), Step::Deploy(deploy)];
    let has_other_images = has_other_images(wanted, facts, engine, images);
    starts.extend(older_images(&paths, facts, (engine, images), has_other_images));
    starts.extend(
        reloads.into_iter().map(|role| Step::Reload(Reload { paths: paths.clone(), role })),
    );
    let wanted_roles = wanted.roles();
    let restarts = restarts.into_iter().filter(|role| wanted_roles.contains(role)).collect();
    let deployments = services.into_iter().map(|it| (it.role, it.deployment)).collect();
    Turnover { stops, starts, restarts, deployments, has_other_images }
}

/// Whether other images run than the stack file names.
fn has_other_images(
    wanted: &Wanted,
    facts: &Facts,
    engine: &EngineFacts,
    images: Source<'_>,
) -> bool {
    let stack = facts.installed.content(&layout::stack(&wanted.place.paths()));
    let stack = stack.map(Content::text).unwrap_or_default();
    let runs = |Image { name, build }: Image| {
        let is_it = |it: &&ImageFact| {
            let is_build = build.is_empty() || it.layer.as_ref() == Some(&build);
            it.tags.contains(&name) && is_build
        };
        engine.images.iter().find(is_it).is_some_and(|it| stack.contains(&it.id))
    };
    !wanted.roles().into_iter().filter_map(|role| images.image(role)).all(runs)
}

/// Images of ours that neither run now nor will, nor come back by `rollback`.
fn older_images(
    paths: &Paths,
    facts: &Facts,
    (engine, images): (&EngineFacts, Source<'_>),
    has_other_images: bool,
) -> Option<Step> {
    let stack = facts.installed.content(&layout::stack(paths))?.text();
    // With other images what runs now becomes the former state.
    let previous = facts.installed.content(&layout::previous(paths)).filter(|_| !has_other_images);
    let previous = previous.map(Content::text);
    let named = [stack, previous.unwrap_or_default()].concat();
    let wanted: Vec<_> = [Role::Cm, Role::Sg]
        .into_iter()
        .filter_map(|role| Some(images.image(role)?.name))
        .collect();
    let older = engine.images.iter().filter(|it| !named.contains(&it.id));
    let names = names(older, &facts.installed, paths);
    let images = names.into_iter().filter(|tag| !wanted.contains(tag)).collect();
    let leave = LeaveEngine { images, ..LeaveEngine::default() };
    (!leave.is_empty()).then_some(Step::LeaveEngine(leave))
}

/// The names of images that this installer has loaded or pulled, and what the engine calls those that
/// have no name any more. Others may have given them names of their own, which stay.
fn names<'a>(
    images: impl Iterator<Item = &'a ImageFact>,
    installed: &Installed,
    paths: &Paths,
) -> Vec<String> {
    let answers = |it: &Installed| {
        let text = it.content(&layout::answers(paths)).map(Content::text)?;
        file::parse(&text).ok()?.remove(&Setting::DockerRegistry)
    };
    let former = installed.content(&layout::previous(paths));
    let former = former.and_then(|former| Previous::parse(former.bytes(), paths).ok());
    let former = former.and_then(|former| answers(&former.over(installed)));
    let mut registries: Vec<_> = answers(installed).into_iter().chain(former).flatten().collect();
    registries.push(LOCAL.to_owned());
    let is_ours = |tag: &String| {
        let Some((_, version)) = tag.rsplit_once(':') else { return false };
        let roles = [Role::Cm, Role::Sg];
        registries.iter().any(|it| roles.iter().any(|role| *tag == reference(it, *role, version)))
    };
    let names = |image: &'a ImageFact| match &image.tags[..] {
        [] => vec![image.id.clone()],
        tags => tags.iter().filter(|tag| is_ours(tag)).cloned().collect(),
    };
    images.filter(|image| image.layer.is_some()).flat_map(names).collect()
}

/// What goes when everything else of an installation is gone.
pub(super) fn leave(engine: &EngineFacts, installed: &Installed, paths: &Paths) -> Option<Step> {
    let is_ours_alone =
        engine.services.iter().all(ServiceFact::is_of_installation) && engine.others.is_empty();
    let leave = LeaveEngine {
        network: engine.networks.iter().any(|it| it.name == NETWORK && it.is_ours),
        images: names(engine.images.iter(), installed, paths),
        swarm: engine.swarm == (SwarmFact::Manager { is_ours: true, nodes: 1 }) && is_ours_alone,
    };
    (!leave.is_empty()).then_some(Step::LeaveEngine(leave))
}

/// The operator's own compose file, as it will lie beside our stack file.
fn compose(wanted: &Wanted, facts: &Facts) -> Option<Content> {
    let given = wanted.docker.compose_file.as_ref()?;
    let content = facts.given.get(&given.setting)?.as_ref().ok()?;
    Some(content.plain())
}

/// What must be there before services can run, and can be there beside those that do.
fn before(wanted: &Wanted, facts: &Facts, engine: &EngineFacts, images: Source<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if facts.deploying.as_ref().is_some_and(|deploying| deploying.is_left_at_boot) {
        steps.push(Step::EnableEngine(EnableEngine));
    }
    steps.extend(images.bring(wanted, facts, engine));
    if engine.swarm == SwarmFact::Inactive
        && let Some(pool) = pool(wanted.network, facts)
    {
        steps.push(Step::MakeSwarm(MakeSwarm { pool }));
    }
    if let Some(network) = wanted.network {
        let ours = engine.networks.iter().find(|it| it.name == NETWORK && it.is_ours);
        let present = ours.map(range);
        if present != Some(Some(network)) {
            let replaces = present.flatten();
            steps.push(Step::MakeNetwork(MakeNetwork { network, replaces }));
        }
    }
    steps
}

fn range(network: &NetworkFact) -> Option<Ipv4Net> {
    network.subnets.first()?.parse().ok()
}

/// A free range, beside that of the stack's network.
pub(crate) fn pool(network: Option<Ipv4Net>, facts: &Facts) -> Option<Ipv4Net> {
    let mut taken = facts.networks.clone();
    taken.extend(network.map(|network| crate::host::networks::Taken {
        network,
        what: "the network of the stack".to_owned(),
    }));
    free(POOL, &taken)
}

fn services(
    wanted: &Wanted,
    facts: &Facts,
    configuration: &Configuration,
    images: Source<'_>,
) -> Vec<Service> {
    let compose = compose(wanted, facts).as_ref().map(Content::text).unwrap_or_default();
    let conf = |role| match role {
        Role::Cm => configuration.cm.as_ref(),
        Role::Sg => configuration.sg.as_ref(),
    };
    let service = |role: Role| {
        let Image { name: image, build } = images.image(role)?;
        // The gateway is told addresses.
        let lookups = if role == Role::Cm { facts.lookups.as_str() } else { "" };
        let read = [image.as_str(), &build, &conf(role)?.render(), lookups, &compose].join("\n");
        let deployment = name(&read, &wanted.place.paths());
        Some(Service { role, image, deployment, memory: memory::limit_of(role, conf(role)?) })
    };
    wanted.roles().into_iter().filter_map(service).collect()
}

/// A name for what a service reads when it starts.
fn name(read: &str, paths: &Paths) -> String {
    let all = format!("{}\n{read}", paths.base().display());
    let digest = digest(&SHA256, all.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a role that runs is to run anew, or no more.
fn restarts(status: &Status, services: &[Service]) -> bool {
    let wanted = services.iter().find(|service| service.role == status.role);
    wanted.map(|service| &service.deployment) != status.deployment.as_ref()
}

#[cfg(test)]
mod tests;
