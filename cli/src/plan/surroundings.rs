//! What of the machine itself is prepared for its own installation, and what of that is ours to
//! take back.

mod firewall;
pub(crate) mod kernel;

use cmsg_config::Paths;

use crate::{
    host::{
        Facts,
        machine::{Machine, firewall::open_port::OpenPort, kernel::Said},
    },
    installation::{
        record::Record,
        surroundings::{KernelKey, Surroundings},
    },
    step::{Step, firewall::FirewallStep},
};

/// The steps that prepare the machine; the record then says what they did.
pub(super) fn prepare(facts: &Facts, paths: &Paths, record: &mut Record) -> Vec<Step> {
    steps(&facts.machine, &Need::of(facts), paths, record)
}

/// The steps that take everything back.
pub(super) fn restore(machine: &Machine, paths: &Paths, record: &mut Record) -> Vec<Step> {
    steps(machine, &Need::default(), paths, record)
}

/// Lines of others' files after which ours do not hold, each with what it would have to say.
pub(crate) fn overridden(facts: &Facts, paths: &Paths) -> Vec<(Said, String)> {
    if !facts.machine.is_prepared {
        return Vec::new();
    }
    let ours = Record::of(&facts.installed, paths).surroundings.kernel;
    let kernel = &facts.machine.kernel;
    let change = kernel::KernelPlan::draft(kernel, kernel::udp_source(facts), &ours);
    let overridden = |(key, value): (&KernelKey, &String)| {
        let said = kernel.said(*key).filter(|said| said.is_after_ours)?;
        Some((said.clone(), value.clone()))
    };
    change.lines.iter().filter_map(overridden).collect()
}

/// What an installation needs of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Need {
    /// What clients connect to.
    ports: Vec<OpenPort>,
    /// The port from which the gateway sends to agents, where there is a gateway.
    udp_source: Option<u16>,
}

impl Need {
    fn of(facts: &Facts) -> Self {
        Self { ports: OpenPort::all(&facts.listeners), udp_source: kernel::udp_source(facts) }
    }
}

fn steps(machine: &Machine, need: &Need, paths: &Paths, record: &mut Record) -> Vec<Step> {
    if !machine.is_prepared {
        return Vec::new();
    }
    let Surroundings { firewall: rules, kernel: settings } = &mut record.surroundings;
    let change = kernel::KernelPlan::draft(&machine.kernel, need.udp_source, settings);
    let mut steps = change.steps(&machine.kernel, paths, settings);
    if let Some(firewall) = &machine.firewall {
        let firewall::FirewallPlan { edits, ours } =
            firewall::FirewallPlan::draft(firewall, &need.ports, rules);
        *rules = ours;
        if !edits.is_empty() {
            steps.push(Step::Firewall(FirewallStep { edits }));
        }
    }
    steps
}
