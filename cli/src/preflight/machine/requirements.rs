//! What the machine is to be: the documented minimums. None of them refuses.

use crate::{finding::Finding, host::machine::Machine};

const GIGABYTE: u64 = 1_000_000_000;
const LEAST_PROCESSORS: usize = 2;
const LEAST_MEGAHERTZ: u64 = 2_450;
/// 4 GB, less what the kernel keeps for itself and for its crash dumps.
const LEAST_MEMORY: u64 = 3_500_000_000;
const LEAST_SWAP: u64 = 4 * GIGABYTE;

pub(super) fn check(machine: &Machine) -> Vec<Finding> {
    let checks = [system, processors, speed, memory, swap, selinux];
    checks.iter().filter_map(|check| check(machine)).collect()
}

fn system(machine: &Machine) -> Option<Finding> {
    let system = machine.system.as_ref()?;
    let major = system.version.split('.').next().unwrap_or_default();
    let is_supported =
        ["rhel", "rocky"].contains(&system.id.as_str()) && ["8", "9"].contains(&major);
    (!is_supported).then(|| {
        Finding::warning(
            "host.system",
            format!("the operating system is {}", system.name.trim()),
            "for production use RHEL or Rocky Linux, version 8 or 9",
        )
    })
}

fn processors(machine: &Machine) -> Option<Finding> {
    let count = machine.processors.filter(|count| *count < LEAST_PROCESSORS)?;
    Some(Finding::warning(
        "host.processors",
        format!("the host has {count} processor, but {LEAST_PROCESSORS} are required"),
        "add processors",
    ))
}

fn speed(machine: &Machine) -> Option<Finding> {
    let speed = machine.megahertz.filter(|speed| *speed < LEAST_MEGAHERTZ)?;
    Some(Finding::warning(
        "host.clock-speed",
        format!("the processors run at {speed} MHz, but 2500 MHz is required"),
        "move to a host with faster processors, or expect fewer sessions",
    ))
}

fn memory(machine: &Machine) -> Option<Finding> {
    let bytes = machine.memory.filter(|bytes| *bytes < LEAST_MEMORY)?;
    Some(Finding::warning(
        "host.memory",
        format!("the host has {} of memory, but 4 GB is required", gigabytes(bytes)),
        "add memory",
    ))
}

fn swap(machine: &Machine) -> Option<Finding> {
    let bytes = machine.swap.filter(|bytes| *bytes < LEAST_SWAP)?;
    Some(Finding::warning(
        "host.swap",
        format!("the host has {} of swap space, but 4 GB is required", gigabytes(bytes)),
        "add a swap file (`mkswap`, `swapon`, a line in `/etc/fstab`)",
    ))
}

fn selinux(machine: &Machine) -> Option<Finding> {
    machine.enforces_selinux.filter(|enforces| *enforces)?;
    Some(Finding::warning(
        "host.selinux",
        "SELinux is enforcing and may deny the services access to files that lack its labels",
        "if a service cannot use a file, check `ausearch -m avc -ts recent` and label the file \
         (`restorecon`, `semanage fcontext`)",
    ))
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / GIGABYTE, bytes % GIGABYTE / (GIGABYTE / 10))
}
