//! The directories of the host that a service of a compose file mounts.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::{Lack, scalar};

/// A bind mount.
struct Bind {
    source: PathBuf,
    target: PathBuf,
    is_read_only: bool,
}

/// What is missing to mount a directory at the same path as on the host.
pub(super) fn lack(volumes: Option<&Value>, folder: &Path, has_to_write: bool) -> Option<Lack> {
    let binds = volumes.and_then(Value::as_sequence).into_iter().flatten().filter_map(bind);
    let closest = binds
        .filter(|bind| folder.starts_with(&bind.target))
        .max_by_key(|bind| bind.target.components().count());
    let Some(bind) = closest else { return Some(Lack::NoMount(folder.to_owned())) };
    // A parent directory is sufficient.
    let below = folder.strip_prefix(&bind.target).unwrap_or(Path::new(""));
    let source = if below.as_os_str().is_empty() { bind.source } else { bind.source.join(below) };
    if source != folder {
        return Some(Lack::OtherSource { folder: folder.to_owned(), source });
    }
    (bind.is_read_only && has_to_write).then(|| Lack::ReadOnly(folder.to_owned()))
}

fn bind(volume: &Value) -> Option<Bind> {
    if let Value::String(short) = volume {
        let mut parts = short.split(':');
        let (source, target) = (parts.next()?, parts.next()?);
        let is_read_only =
            parts.next().is_some_and(|options| options.split(',').any(|o| o == "ro"));
        return Some(Bind { source: source.into(), target: target.into(), is_read_only });
    }
    let text = |key| volume.get(key).and_then(scalar);
    Some(Bind {
        source: text("source").unwrap_or_default().into(),
        target: text("target")?.into(),
        is_read_only: volume.get("read_only").and_then(Value::as_bool).unwrap_or(false),
    })
}
