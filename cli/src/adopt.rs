//! Taking over the documented product where it runs: what it says of itself becomes answers, what it
//! is made of is kept aside, and its services go when ours come.

mod answers;
mod certificates;
mod look;
mod names;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Component, Path, PathBuf};

use cmsg_config::{ConfFile, Paths, socket::Role};
use cmsg_engine::{Others, ServiceFact};

use crate::{
    args::settings::Layer,
    content::Content,
    finding::Finding,
    host::{Facts, engine, ports::Trouble},
    installation::{adopted::Adopted, layout},
};
pub(crate) use look::look;

/// What was found of it, all of it unjudged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vendor {
    pub(crate) services: Vec<ServiceFact>,
    /// The same and its networks, as the engine shows them.
    pub(crate) others: Others,
    /// Its configurations; where they lie on the host.
    pub(crate) confs: Vec<(Role, PathBuf, Content)>,
    /// The files among its certificates.
    pub(crate) files: Vec<(PathBuf, Content)>,
}

/// What `--adopt` comes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Adoption {
    /// The answers that it gives.
    pub(crate) layer: Layer,
    /// What is to be told.
    pub(crate) findings: Vec<Finding>,
    /// What is taken over, if anything.
    pub(crate) adopted: Option<Adopted>,
}

/// Judges what was found.
pub(crate) fn judge(vendor: &Vendor, paths: &Paths) -> Adoption {
    let (layer, mut findings) = answers::read(vendor, paths);
    let written = match vendor.others.render() {
        Ok(written) => written,
        Err(why) => {
            findings.push(unreadable(&why));
            return Adoption { layer, findings, adopted: None };
        }
    };
    if !written.lost.is_empty() {
        findings.push(Finding::warning(
            "adopt.way-back",
            format!(
                "the file that redeploys the old services does not describe them completely: {}",
                written.lost.join(", ")
            ),
            format!(
                "before you return to the old services, compare `{}` with `services.json` in the \
                 same directory",
                layout::adopted_stack(paths).display()
            ),
        ));
    }
    let inspected = serde_json::to_vec_pretty(&vendor.others.services).unwrap_or_default();
    let folder = layout::adopted(paths);
    let mut kept = vec![
        (layout::adopted_stack(paths), written.text.into()),
        (folder.join("services.json"), Content::from(inspected)),
    ];
    let confs = vendor.confs.iter().map(|(_, path, content)| (path, content));
    let files = vendor.files.iter().map(|(path, content)| (path, content));
    kept.extend(confs.chain(files).map(|(path, content)| (aside(&folder, path), content.clone())));
    let published = answers::published(vendor).map(|(_, published)| published).collect();
    let adopted = Adopted {
        kept,
        networks: vendor.others.own_networks(),
        containers: vendor.others.containers.clone(),
        published,
    };
    Adoption { layer, findings, adopted: Some(adopted) }
}

/// Where a file is kept: by its whole path, so that all are put back at once. A path of a service may
/// have `..` in it, which must not lead out of the folder.
fn aside(folder: &Path, path: &Path) -> PathBuf {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    folder.join("files").join(names.collect::<PathBuf>())
}

/// Has the host look as it will when the services have gone.
pub(crate) fn settle(facts: &mut Facts, adoption: &Adoption) {
    let Some(adopted) = &adoption.adopted else { return };
    let goes = |what: &str| adopted.networks.iter().any(|name| what == engine::called(name));
    facts.networks.retain(|taken| !goes(&taken.what));
    for listener in facts.listeners.values_mut() {
        let Some(address) = listener.address else { continue };
        listener.troubles.retain(|trouble| !adopted.frees(address.port(), trouble));
    }
    facts.adopted = Some(adopted.clone());
}

impl Adopted {
    /// Whether it is its services that are in the way.
    fn frees(&self, port: u16, trouble: &Trouble) -> bool {
        let Trouble::Taken { owner, .. } = trouble else { return false };
        let is_its = |pid| look::runs_in(pid, &self.containers);
        self.published.contains(&port) || owner.as_ref().is_some_and(|owner| is_its(owner.pid))
    }
}

/// The keys of a configuration that say how things are in a container, where ours see the host.
const INSIDE: [&str; 11] = [
    "SslCertificate",
    "SslKey",
    "CaCertificate",
    "JwtSigningKey",
    "JwtVerifyingCertificate",
    "DataDirectory",
    "LogDirectory",
    "ListenAddress",
    "HttpListenAddress",
    "HttpsListenAddress",
    "UdpSourceAddress",
];

/// A configuration as ours begin with it.
pub(crate) fn configuration(mut file: ConfFile, facts: &Facts) -> ConfFile {
    if facts.adopted.is_some() {
        // Their `true` is refused unless a flag says otherwise.
        ["OauthEnabled", "SsoEnabled"].iter().for_each(|key| file.set(key, [""; 0]));
        INSIDE.iter().for_each(|key| file.set(key, [""; 0]));
    }
    file
}

fn unreadable(why: &anyhow::Error) -> Finding {
    Finding::error(
        "adopt.unreadable",
        format!("the existing installation cannot be read: {why:#}"),
        "fix the cause and run the command again",
    )
}
