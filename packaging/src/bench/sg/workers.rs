//! The workers as the benchmark sees them: processes that answer orders.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context as _, bail};

use super::{
    network::{Network, Place},
    orders::{Order, Reply},
};

/// A worker. It ends when its standard input closes.
pub(super) struct Worker {
    name: &'static str,
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Worker {
    pub(super) fn start(network: &Network, place: Place, folder: &Path) -> anyhow::Result<Self> {
        let name = match place {
            Place::Clients => "clients",
            Place::Agents => "agents",
            Place::Flood => "flood",
            Place::Gateway => bail!("the gateway is no worker"),
        };
        let own = std::env::current_exe().context("locating the executable")?;
        let mut command = network.command(place, &own.to_string_lossy());
        command.args(["bench", "sg-worker", name]).arg(folder).arg(network.flooding_interface());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting the {name}"))?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().context("standard output is a pipe")?);
        let mut worker = Self { name, child, to, from };
        worker.line()?;
        Ok(worker)
    }

    /// Gives an order, whose reply [`Worker::reply`] waits for.
    pub(super) fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let line = serde_json::to_string(order).context("writing an order")?;
        let to = self.to.as_mut().context("the worker was stopped")?;
        writeln!(to, "{line}").with_context(|| format!("giving an order to the {}", self.name))
    }

    pub(super) fn reply(&mut self) -> anyhow::Result<Reply> {
        let line = self.line()?;
        match serde_json::from_str(&line).context("reading a worker's reply")? {
            Reply::Failed(why) => bail!("the {}: {why}", self.name),
            reply => Ok(reply),
        }
    }

    /// Gives an order and waits until it is done.
    pub(super) fn obey(&mut self, order: &Order) -> anyhow::Result<Reply> {
        self.order(order)?;
        self.reply()
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line).context("reading a worker's reply")?;
        if line.is_empty() {
            let status = self.child.wait().context("waiting for a worker")?;
            bail!("the {} ended with {status}", self.name);
        }
        Ok(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
