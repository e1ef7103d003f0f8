//! Converts services to a compose file. Fields that a compose file cannot express are reported by
//! name.

mod networks;
mod parts;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{
    Others,
    fields::{Fields, Renamed},
};
use crate::{STACK, services::NAMESPACE};
use networks::Networks;
use parts::{cpus, duration, mounts, ports, references, same, size, ulimits};

/// A compose file, and the fields that it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub text: String,
    /// The fields of services and networks that it cannot express, for example
    /// `pcoipcm_cm.Placement.Preferences`.
    pub lost: Vec<String>,
}

impl Others {
    /// Writes the stack as a compose file. Secrets, configs, and networks and volumes outside the
    /// stack are only referenced, and must exist.
    ///
    /// # Errors
    ///
    /// If a service has no name.
    pub fn render(&self) -> anyhow::Result<Written> {
        let mut lost = Vec::new();
        let mut file = Parts { networks: Networks::of(&self.networks), ..Parts::default() };
        let mut services = Map::new();
        for service in &self.services {
            let name = service["Spec"]["Name"].as_str().context("a service has no name")?;
            let fields = Fields::of(service.get("Spec").cloned(), name, &mut lost);
            services.insert(short(name).to_owned(), file.service(fields));
        }
        let networks = file.networks.render(&mut lost);
        let mut all = json!({ "version": "3.8", "services": services });
        let others = [
            ("networks", networks),
            ("volumes", file.volumes),
            ("secrets", file.secrets),
            ("configs", file.configs),
        ];
        for (key, value) in others.into_iter().filter(|(_, value)| !value.is_empty()) {
            all[key] = value.into();
        }
        let text = serde_yaml::to_string(&escaped(all)).context("serializing the services")?;
        Ok(Written { text: format!("# Written by pcoip-cmsg-setup.\n{text}"), lost })
    }

    /// The names of the stack's own networks.
    #[must_use]
    pub fn own_networks(&self) -> Vec<String> {
        Networks::of(&self.networks).own().map(str::to_owned).collect()
    }
}

/// Ids of the networks of a service.
pub(super) fn network_ids(service: &Value) -> impl Iterator<Item = &str> {
    let spec = &service["Spec"];
    let lists = [&spec["TaskTemplate"]["Networks"], &spec["Networks"]];
    let attached = lists.into_iter().filter_map(Value::as_array).flatten();
    attached.filter_map(|network| network["Target"].as_str())
}

/// The sections of the file.
#[derive(Default)]
struct Parts {
    networks: Networks,
    volumes: Map<String, Value>,
    secrets: Map<String, Value>,
    configs: Map<String, Value>,
}

const CONTAINER: [Renamed; 15] = [
    ("Image", "image", same),
    ("Args", "command", same),
    ("Command", "entrypoint", same),
    ("Env", "environment", same),
    ("Dir", "working_dir", same),
    ("User", "user", same),
    ("Hostname", "hostname", same),
    ("ReadOnly", "read_only", same),
    ("TTY", "tty", same),
    ("OpenStdin", "stdin_open", same),
    ("StopSignal", "stop_signal", same),
    ("StopGracePeriod", "stop_grace_period", duration),
    ("CapabilityAdd", "cap_add", same),
    ("CapabilityDrop", "cap_drop", same),
    ("Sysctls", "sysctls", same),
];
const HEALTH: [Renamed; 5] = [
    ("Test", "test", same),
    ("Interval", "interval", duration),
    ("Timeout", "timeout", duration),
    ("StartPeriod", "start_period", duration),
    ("Retries", "retries", same),
];
const RESTART: [Renamed; 4] = [
    ("Condition", "condition", same),
    ("Delay", "delay", duration),
    ("MaxAttempts", "max_attempts", same),
    ("Window", "window", duration),
];
const UPDATE: [Renamed; 6] = [
    ("Parallelism", "parallelism", same),
    ("Delay", "delay", duration),
    ("FailureAction", "failure_action", same),
    ("Monitor", "monitor", duration),
    ("MaxFailureRatio", "max_failure_ratio", same),
    ("Order", "order", same),
];
const LIMITS: [Renamed; 3] =
    [("NanoCPUs", "cpus", cpus), ("MemoryBytes", "memory", size), ("Pids", "pids", same)];

impl Parts {
    fn service(&mut self, mut spec: Fields<'_>) -> Value {
        let name = spec.text("Name").unwrap_or_default();
        let mut service = Map::new();
        let mut deploy = Map::new();
        put(&mut deploy, "labels", labels(&mut spec));
        self.task(spec.inner("TaskTemplate"), &name, &mut service, &mut deploy);
        mode(spec.inner("Mode"), &mut deploy);
        for (from, to) in [("UpdateConfig", "update_config"), ("RollbackConfig", "rollback_config")]
        {
            put(&mut deploy, to, renamed(spec.inner(from), &UPDATE));
        }
        let mut endpoint = spec.inner("EndpointSpec");
        endpoint.map(&[("Mode", "endpoint_mode", same)], &mut deploy);
        let published = ports(&endpoint.list("Ports"));
        endpoint.end();
        if !published.is_empty() {
            service.insert("ports".to_owned(), published.into());
        }
        let attached = spec.list("Networks");
        if !attached.is_empty() && !service.contains_key("networks") {
            service.insert("networks".to_owned(), self.networks.attach(&attached, short(&name)));
        }
        put(&mut service, "deploy", deploy);
        spec.end();
        service.into()
    }

    fn task(
        &mut self,
        mut task: Fields<'_>,
        name: &str,
        service: &mut Map<String, Value>,
        deploy: &mut Map<String, Value>,
    ) {
        self.container(task.inner("ContainerSpec"), service);
        put(deploy, "restart_policy", renamed(task.inner("RestartPolicy"), &RESTART));
        let mut resources = task.inner("Resources");
        let limits = renamed(resources.inner("Limits"), &LIMITS);
        let reservations = renamed(resources.inner("Reservations"), &LIMITS[..2]);
        resources.end();
        let mut all = Map::new();
        put(&mut all, "limits", limits);
        put(&mut all, "reservations", reservations);
        put(deploy, "resources", all);
        let mut placement = task.inner("Placement");
        let mut placed = Map::new();
        // `docker stack deploy` gets the platforms from the registry.
        placement.ignore(&["Platforms"]);
        placement.map(
            &[("Constraints", "constraints", same), ("MaxReplicas", "max_replicas_per_node", same)],
            &mut placed,
        );
        placement.end();
        put(deploy, "placement", placed);
        let mut log = task.inner("LogDriver");
        let mut logging = Map::new();
        log.map(&[("Name", "driver", same), ("Options", "options", same)], &mut logging);
        log.end();
        put(service, "logging", logging);
        let attached = task.list("Networks");
        if !attached.is_empty() {
            service.insert("networks".to_owned(), self.networks.attach(&attached, short(name)));
        }
        task.ignore(&["ForceUpdate", "Runtime"]);
        task.end();
    }

    fn container(&mut self, mut container: Fields<'_>, service: &mut Map<String, Value>) {
        container.map(&CONTAINER, service);
        put(service, "labels", labels(&mut container));
        // `false` is significant here, since the engine's default may be true.
        if let Some(init) = container.look("Init").as_bool() {
            service.insert("init".to_owned(), init.into());
            container.ignore(&["Init"]);
        }
        put(service, "healthcheck", renamed(container.inner("Healthcheck"), &HEALTH));
        let mut dns = container.inner("DNSConfig");
        dns.map(&[("Nameservers", "dns", same), ("Search", "dns_search", same)], service);
        dns.end();
        container.map(
            &[("Hosts", "extra_hosts", parts::hosts), ("Ulimits", "ulimits", ulimits)],
            service,
        );
        let mounted = mounts(&mut container, &mut self.volumes);
        for (key, values) in [
            ("volumes", mounted),
            ("secrets", references(&container.list("Secrets"), "Secret", &mut self.secrets)),
            ("configs", references(&container.list("Configs"), "Config", &mut self.configs)),
        ] {
            if !values.is_empty() {
                service.insert(key.to_owned(), values.into());
            }
        }
        if container.text("Isolation").is_some_and(|isolation| isolation != "default") {
            container.note("Isolation");
        }
        container.end();
    }
}

/// The labels that `docker stack deploy` did not add.
fn labels(fields: &mut Fields<'_>) -> Map<String, Value> {
    let mut labels = fields.object("Labels");
    labels.retain(|name, _| !name.starts_with("com.docker.stack."));
    labels
}

fn mode(mut mode: Fields<'_>, deploy: &mut Map<String, Value>) {
    if let Some(replicated) = mode.take("Replicated") {
        deploy.insert("replicas".to_owned(), replicated["Replicas"].clone());
    } else if mode.has("Global") {
        deploy.insert("mode".to_owned(), "global".into());
    }
    mode.ignore(&["Global"]);
    mode.end();
}

fn renamed(mut fields: Fields<'_>, names: &[Renamed]) -> Map<String, Value> {
    let mut all = Map::new();
    fields.map(names, &mut all);
    fields.end();
    all
}

fn put(into: &mut Map<String, Value>, key: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        into.insert(key.to_owned(), value.into());
    }
}

/// A name without the prefix that `docker stack deploy` adds.
fn short(name: &str) -> &str {
    name.strip_prefix(STACK).and_then(|name| name.strip_prefix('_')).unwrap_or(name)
}

/// Whether `docker stack deploy` created it.
fn is_own(labels: &Value) -> bool {
    labels[NAMESPACE] == STACK
}

/// Escapes dollar signs, since `docker stack deploy` replaces variables.
fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace('$', "$$").into(),
        Value::Array(values) => values.into_iter().map(escaped).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, escaped(value))).collect()
        }
        value => value,
    }
}
