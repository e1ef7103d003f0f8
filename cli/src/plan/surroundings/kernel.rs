//! The kernel's settings for a gateway: the port to agents is lent to nobody, and its sockets may
//! hold what they ask for. What others have set stays: a list gets one more port, and a limit is
//! only ever raised.

use std::{collections::BTreeMap, ops::RangeInclusive};

use cmsg_config::{Paths, security_gateway::DATAGRAM_BUFFER};

use crate::{
    content::Content,
    host::{
        Facts,
        machine::{
            kernel::{FILE, Kernel},
            ranges,
        },
    },
    installation::{
        account::{Access, AccessChange, Owner, Ownership},
        surroundings::{KernelChanges, KernelKey},
    },
    step::{
        Step,
        hand_over::HandOver,
        kernel::{KernelSetting, KernelStep},
        remove::Remove,
        write::Write,
    },
    wanted::listen::ListenKey,
};

const HEAD: &str = "# Written by pcoip-cmsg-setup for the PCoIP Security Gateway, and removed by its \
                    `uninstall`.\n";

/// The port from which the gateway sends to agents, where there is a gateway.
pub(crate) fn udp_source(facts: &Facts) -> Option<u16> {
    facts.listeners.get(&ListenKey::UdpSource)?.port()
}

/// How the settings are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KernelPlan {
    /// The present ones that change.
    settings: Vec<KernelSetting>,
    /// What our file says, where something is to be said.
    pub(crate) lines: BTreeMap<KernelKey, String>,
    /// What is ours afterwards.
    ours: KernelChanges,
}

impl KernelPlan {
    /// Decides it for a gateway that sends from this port, or for none.
    pub(crate) fn draft(kernel: &Kernel, port: Option<u16>, ours: &KernelChanges) -> Self {
        let mut change = Self::default();
        for (key, present) in &kernel.values {
            let said = kernel.said(*key).map(|said| said.value.as_str());
            let after = match key {
                KernelKey::ReservedPorts => {
                    change.reserve(present, said.unwrap_or_default(), port, ours)
                }
                KernelKey::ReceiveBuffer | KernelKey::SendBuffer => {
                    change.raise(*key, (present, said), port.is_some(), ours)
                }
            };
            if let Some(after) = after.filter(|after| after != present) {
                let before = present.clone();
                change.settings.push(KernelSetting { key: *key, before, after });
            }
        }
        change
    }

    fn reserve(
        &mut self,
        present: &str,
        said: &str,
        port: Option<u16>,
        ours: &KernelChanges,
    ) -> Option<String> {
        let said = ranges(said);
        let mut reserved = ranges(present);
        // Others may have come to need it meanwhile.
        if let Some(former) = ours.port.filter(|former| !contains(&said, *former)) {
            reserved = without(&reserved, former);
        }
        if let Some(port) = port {
            if !contains(&reserved, port) {
                self.ours.port = Some(port);
                reserved.push(port..=port);
            }
            if !contains(&said, port) {
                self.lines
                    .insert(KernelKey::ReservedPorts, list(&[&said[..], &[port..=port]].concat()));
            }
        }
        Some(list(&reserved)).filter(|_| merged(&reserved) != merged(&ranges(present)))
    }

    fn raise(
        &mut self,
        key: KernelKey,
        (present, said): (&str, Option<&str>),
        is_needed: bool,
        ours: &KernelChanges,
    ) -> Option<String> {
        let needed = DATAGRAM_BUFFER.to_string();
        let is_low =
            |value: &str| value.parse::<usize>().is_ok_and(|value| value < DATAGRAM_BUFFER);
        let raised = ours.raised.get(&key);
        if !is_needed {
            // Who has changed it since has the word.
            return raised.filter(|_| present == needed).cloned();
        }
        let own = raised.map_or(present, String::as_str);
        if is_low(own) {
            self.ours.raised.insert(key, own.to_owned());
            if said.is_none_or(is_low) {
                self.lines.insert(key, needed.clone());
            }
        }
        is_low(present).then_some(needed)
    }

    /// The steps to it.
    pub(super) fn steps(
        self,
        kernel: &Kernel,
        paths: &Paths,
        ours: &mut KernelChanges,
    ) -> Vec<Step> {
        let path = paths.root().join(FILE);
        let mut steps = Vec::new();
        if self.lines.is_empty() {
            steps.extend(kernel.file.is_some().then(|| Step::Remove(Remove(path))));
        } else if kernel.has_folder && kernel.file.as_ref() != Some(&self.text()) {
            let content = Content::from(self.text());
            let replaces = kernel.file.is_some();
            steps.push(Step::Write(Write { path: path.clone(), content, replaces }));
            let access = Access { owner: Owner::Root, mode: 0o644 };
            let before: Option<Ownership> = None;
            steps.push(Step::HandOver(HandOver(vec![AccessChange { path, access, before }])));
        }
        if !self.settings.is_empty() {
            steps.push(Step::Kernel(KernelStep { settings: self.settings }));
        }
        *ours = self.ours;
        steps
    }

    fn text(&self) -> String {
        let line = |(key, value): (&KernelKey, &String)| format!("{} = {value}\n", key.name());
        self.lines.iter().map(line).fold(HEAD.to_owned(), |text, line| text + &line)
    }
}

/// Whether a port is among them.
pub(crate) fn contains(ranges: &[RangeInclusive<u16>], port: u16) -> bool {
    ranges.iter().any(|range| range.contains(&port))
}

fn without(ranges: &[RangeInclusive<u16>], port: u16) -> Vec<RangeInclusive<u16>> {
    let parts = |range: &RangeInclusive<u16>| match range.contains(&port) {
        false => vec![range.clone()],
        true => {
            let below = port.checked_sub(1).map(|last| *range.start()..=last);
            let above = port.checked_add(1).map(|first| first..=*range.end());
            below.into_iter().chain(above).filter(|part| !part.is_empty()).collect()
        }
    };
    ranges.iter().flat_map(parts).collect()
}

/// In their order, with those made one that touch.
fn merged(ranges: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let mut sorted: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
    sorted.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u16>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// As the kernel takes them and tells them: `8080,9148-9150`.
pub(crate) fn list(ranges: &[RangeInclusive<u16>]) -> String {
    let name = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    merged(ranges).iter().map(name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
