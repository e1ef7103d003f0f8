//! Plans systemd's units, each from the one template.

use cmsg_config::{Paths, memory, rejected::EXIT_CODE, socket::Role};

use super::configuration::Configuration;
use crate::{
    content::Content,
    host::Facts,
    installation::{Runtime, account::NAME, installed::Installed, layout},
    step::{
        Step,
        units::{UnitFile, Units},
    },
    wanted::Wanted,
};

/// So many files a role may open.
pub(crate) const OPEN_FILES: u64 = 524_288;

const TEMPLATE: &str = include_str!("../../../packaging/systemd/pcoip-cmsg.service.in");

/// The step that gives every wanted role its unit and takes it from every other, unless it is so.
pub(super) fn install(
    wanted: &Wanted,
    facts: &Facts,
    configuration: &Configuration,
) -> Option<Step> {
    let installed = &facts.installed;
    let are_used = installed.units.are_used && wanted.place.runtime == Runtime::Host;
    let confs = [(Role::Cm, &configuration.cm), (Role::Sg, &configuration.sg)];
    let wanted_roles: Vec<_> = confs
        .into_iter()
        .filter_map(|(role, conf)| Some((role, memory::limit_of(role, conf.as_ref()?))))
        .collect();
    are_used.then(|| step(wanted.place.paths(), &wanted_roles, installed))?
}

/// The step that takes away all units, also where another process than systemd is the first by now.
pub(super) fn remove(paths: &Paths, installed: &Installed) -> Option<Step> {
    let are_ours = installed.units.are_used || layout::is_machine(paths);
    are_ours.then(|| step(paths.clone(), &[], installed))?
}

/// The step for these roles, each with the memory that it may take, in MiB.
fn step(paths: Paths, limits: &[(Role, u64)], installed: &Installed) -> Option<Step> {
    let wanted: Vec<_> = limits.iter().map(|(role, _)| *role).collect();
    let mut files = Vec::new();
    for role in [Role::Cm, Role::Sg] {
        let there = installed.content(&layout::unit(&paths, role));
        let limit = limits.iter().find(|limit| limit.0 == role);
        let content = limit.map(|(role, memory)| render(&paths, *role, *memory));
        if there != content.as_ref() {
            files.push(UnitFile { role, content, replaces: there.is_some() });
        }
    }
    let enabled = &installed.units.enabled;
    let disables: Vec<_> = enabled.iter().copied().filter(|role| !wanted.contains(role)).collect();
    let enables: Vec<_> = wanted.iter().copied().filter(|role| !enabled.contains(role)).collect();
    let changes_nothing = files.is_empty() && disables.is_empty() && enables.is_empty();
    (!changes_nothing).then_some(Step::Units(Units { paths, files, disables, enables }))
}

/// The unit of a role.
fn render(paths: &Paths, role: Role, memory: u64) -> Content {
    let (description, logs) = match role {
        Role::Cm => ("PCoIP Connection Manager", paths.connection_manager_logs()),
        Role::Sg => ("PCoIP Security Gateway", paths.security_gateway_logs()),
    };
    let [daemon, conf, state, run, logs] =
        [paths.daemon(), layout::conf(paths, role), paths.state(), paths.run(), logs]
            .map(|path| path.display().to_string());
    let (name, files) = (layout::unit_name(role), OPEN_FILES.to_string());
    let memory = format!("{memory}M");
    let bad_configuration = EXIT_CODE.to_string();
    let values = [
        ("{name}", name.as_str()),
        ("{description}", description),
        ("{daemon}", &daemon),
        ("{command}", role.command()),
        ("{conf}", &conf),
        ("{state}", &state),
        ("{run}", &run),
        ("{logs}", &logs),
        ("{files}", &files),
        ("{memory}", &memory),
        ("{account}", NAME),
        ("{bad_configuration}", &bad_configuration),
    ];
    let fill = |text: String, (name, value): (&str, &str)| text.replace(name, value);
    values.into_iter().fold(TEMPLATE.to_owned(), fill).into()
}

#[cfg(test)]
pub(crate) mod tests;
