//! Notes effects for tests.

use std::{io, path::Path, time::Duration};

use anyhow::bail;
use cmsg_config::{
    Paths,
    socket::{Role, Status},
};

use super::System;
use crate::{
    content::Content,
    pki::generate::{Pair, Request},
};

/// A host that only takes notes. Paths are noted without its root, `/r`.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// What was done, in order.
    pub(crate) calls: Vec<String>,
    /// The effect that fails.
    pub(crate) fails: Option<&'static str>,
    /// After so many effects the operator interrupts.
    pub(crate) interrupted_after: Option<usize>,
    /// The roles do not answer.
    pub(crate) is_dead: bool,
    /// How the supervisor has ended.
    pub(crate) ended: Option<&'static str>,
}

impl Recorder {
    fn note(&mut self, call: String) -> anyhow::Result<()> {
        let fails = self.fails == Some(call.as_str());
        self.calls.push(call);
        if fails { bail!("no space left") } else { Ok(()) }
    }
}

fn short(path: &Path) -> String {
    let path = path.strip_prefix("/r").unwrap_or(path);
    path.strip_prefix("opt/teradici/pcoipcm_data").unwrap_or(path).display().to_string()
}

impl System for Recorder {
    fn make_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        self.note(format!("mkdir {}", path.display()))
    }

    fn remove_empty_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        self.note(format!("rmdir {}", path.display()))
    }

    fn write(&mut self, path: &Path, _content: &Content) -> anyhow::Result<()> {
        self.note(format!("write {}", short(path)))
    }

    fn copy_executable(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        self.note(format!("copy {} {}", short(from), short(to)))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        self.note(format!("rename {} {}", short(from), short(to)))
    }

    fn delete(&mut self, path: &Path) -> anyhow::Result<()> {
        self.note(format!("delete {}", short(path)))
    }

    fn make_pair(&mut self, request: &Request) -> anyhow::Result<Pair> {
        self.note(format!("make {:?}", request.key))?;
        Ok(Pair { key: "key".into(), certificate: "certificate".into() })
    }

    fn start(&mut self, _paths: &Paths) -> anyhow::Result<()> {
        self.note("start".to_owned())
    }

    fn stop(&mut self, _paths: &Paths) -> anyhow::Result<()> {
        self.note("stop".to_owned())
    }

    fn supervisor_ended(&mut self) -> Option<String> {
        self.ended.map(str::to_owned)
    }

    fn status(&mut self, _paths: &Paths, role: Role) -> io::Result<Status> {
        if self.is_dead {
            return Err(io::Error::other("nobody there"));
        }
        Ok(Status {
            role,
            version: String::new(),
            pid: 1,
            ready: true,
            reason: None,
            listens: Vec::new(),
            sessions: 0,
        })
    }

    fn log_tail(&mut self, _paths: &Paths) -> Vec<String> {
        vec!["last words".to_owned()]
    }

    fn pause(&mut self, _time: Duration) -> bool {
        self.interrupted_after.is_some_and(|after| self.calls.len() >= after)
    }
}
