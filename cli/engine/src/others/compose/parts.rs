//! Values in the format of a compose file.

use serde_json::{Map, Value, json};

use super::{
    super::fields::{Fields, Renamed},
    is_own, short,
};

pub(super) fn same(value: &Value) -> Value {
    value.clone()
}

/// A duration, from nanoseconds.
pub(super) fn duration(value: &Value) -> Value {
    format!("{value}ns").into()
}

/// A size, from bytes.
pub(super) fn size(value: &Value) -> Value {
    format!("{value}b").into()
}

/// A number of CPUs, from billionths.
pub(super) fn cpus(value: &Value) -> Value {
    let billionths = value.as_u64().unwrap_or_default();
    format!("{}.{:09}", billionths / 1_000_000_000, billionths % 1_000_000_000).into()
}

/// Converts `address name` to `name:address`.
pub(super) fn hosts(value: &Value) -> Value {
    let lines = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    let host = |line: &str| {
        let (address, names) = line.split_once(' ')?;
        Some(names.split(' ').map(|name| format!("{name}:{address}")).collect::<Vec<_>>())
    };
    lines.filter_map(host).flatten().map(Value::from).collect()
}

pub(super) fn ulimits(value: &Value) -> Value {
    let all = value.as_array().into_iter().flatten();
    let limit = |limit: &Value| {
        let name = limit["Name"].as_str()?.to_owned();
        Some((name, json!({ "soft": limit["Soft"], "hard": limit["Hard"] })))
    };
    Value::Object(all.filter_map(limit).collect())
}

pub(super) fn ports(published: &[Value]) -> Vec<Value> {
    let port = |port: &Value| {
        let mut all = Map::new();
        for (from, to) in [
            ("TargetPort", "target"),
            ("PublishedPort", "published"),
            ("Protocol", "protocol"),
            ("PublishMode", "mode"),
        ] {
            if let Some(value) = port.get(from) {
                all.insert(to.to_owned(), value.clone());
            }
        }
        all.into()
    };
    published.iter().map(port).collect()
}

/// The mounts. Named volumes are added to `volumes`.
pub(super) fn mounts(container: &mut Fields<'_>, volumes: &mut Map<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    for mount in container.list("Mounts") {
        let mut fields = container.about(mount, "Mounts");
        let mut written = Map::new();
        let kind = fields.text("Type").unwrap_or_else(|| "bind".to_owned());
        written.insert("type".to_owned(), kind.clone().into());
        fields.map(&[("Target", "target", same), ("ReadOnly", "read_only", same)], &mut written);
        if let Some(source) = fields.text("Source") {
            let is_volume = kind == "volume";
            let key = if is_volume { short(&source) } else { &source };
            written.insert("source".to_owned(), key.into());
            if is_volume {
                let is_own = is_own(&fields.look("VolumeOptions")["Labels"]);
                let volume = if is_own {
                    json!({ "name": source })
                } else {
                    json!({ "name": source, "external": true })
                };
                volumes.insert(key.to_owned(), volume);
            }
        }
        let options: [(&str, &str, &[Renamed]); 3] = [
            ("BindOptions", "bind", &[("Propagation", "propagation", same)]),
            ("VolumeOptions", "volume", &[("NoCopy", "nocopy", same)]),
            ("TmpfsOptions", "tmpfs", &[("SizeBytes", "size", same)]),
        ];
        for (from, to, names) in options {
            let mut inner = fields.inner(from);
            inner.ignore(&["Labels"]);
            super::put(&mut written, to, super::renamed(inner, names));
        }
        fields.ignore(&["Consistency"]);
        fields.end();
        all.push(written.into());
    }
    all
}

/// Secrets or configs, which are only referenced.
pub(super) fn references(all: &[Value], kind: &str, named: &mut Map<String, Value>) -> Vec<Value> {
    let reference = |one: &Value| {
        let name = one[format!("{kind}Name")].as_str()?.to_owned();
        named.insert(name.clone(), json!({ "name": name, "external": true }));
        let file = &one["File"];
        Some(json!({
            "source": name,
            "target": file["Name"],
            "uid": file["UID"],
            "gid": file["GID"],
            "mode": file["Mode"],
        }))
    };
    all.iter().filter_map(reference).collect()
}
