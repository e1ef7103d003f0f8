//! The faults, and how each is caused.

use std::{thread::sleep, time::Duration};

use nix::sys::signal::Signal;
use serde::Serialize;

use super::{
    between::{self, Between},
    network::{SHARED, Side},
    site::{GATEWAYS, MANAGER, Site},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    /// Nothing happens
    None,
    /// The gateway's process is killed
    Kill,
    /// The gateway's process is killed, and starts again after half a second
    Restart,
    /// The gateway's process is stopped for 30 seconds
    Stall,
    /// All packets of the gateway's host are dropped
    Drop,
    /// All packets of the gateway's host are dropped for a minute
    Return,
    /// Both gateways with the shared address are killed, and start again after two seconds
    Both,
    /// The gateway without a shared address is killed
    Alone,
    /// The Connection Manager is killed
    Manager,
    /// The two gateways cannot reach each other for ten seconds, and both have the shared address
    Split,
    /// The gateway's process is killed, two seconds after it could not reach its peers while the
    /// clients logged on
    Apart,
    /// The process is killed; the clock of the second gateway is a minute behind
    Behind,
    /// The process is killed; the third gateway has no peers, as one of an earlier version
    Former,
    /// The gateway stops accepting new sessions
    Drain,
    /// The gateway's process is killed, and keepalived sends no multicast packets
    Unicast,
    /// Nothing fails. One session a second comes and goes
    Churn,
    /// A gateway starts again without its journal, while its peers know 5,000 more sessions
    Resync,
}

impl Fault {
    pub(super) const ALL: [Self; 17] = [
        Self::None,
        Self::Kill,
        Self::Restart,
        Self::Stall,
        Self::Drop,
        Self::Return,
        Self::Both,
        Self::Alone,
        Self::Manager,
        Self::Split,
        Self::Apart,
        Self::Behind,
        Self::Former,
        Self::Drain,
        Self::Unicast,
        Self::Churn,
        Self::Resync,
    ];

    /// From the fault to the end of the clients.
    pub(super) fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::Return => 75,
            Self::Stall => 45,
            Self::Churn => 60,
            Self::Alone | Self::Split => 25,
            _ => 15,
        })
    }

    /// The addresses of the gateways that fail. Clients of the others should notice nothing.
    pub(super) fn affected(self) -> String {
        Side::Wan.address(if self == Self::Alone { GATEWAYS[2] } else { SHARED })
    }

    /// What precedes the sessions.
    pub(super) fn prepare(self, site: &Site) -> anyhow::Result<()> {
        match self {
            Self::Apart => site.network.mute(GATEWAYS[0], true),
            _ => Ok(()),
        }
    }

    pub(super) fn cause(self, site: &mut Site) -> anyhow::Result<Option<Between>> {
        let [first, second, third] = GATEWAYS;
        match self {
            Self::Churn => return between::churn(site).map(Some),
            Self::Resync => return between::resync(site, [second, third]).map(Some),
            Self::None => {}
            Self::Kill | Self::Former | Self::Behind | Self::Unicast => site.kill(first)?,
            Self::Alone => site.kill(third)?,
            Self::Drain => site.drain(first)?,
            Self::Manager => site.kill(MANAGER)?,
            Self::Restart => {
                site.kill(first)?;
                sleep(Duration::from_millis(500));
                site.serve(first)?;
            }
            Self::Stall => {
                site.signal(first, Signal::SIGSTOP)?;
                sleep(Duration::from_secs(30));
                site.signal(first, Signal::SIGCONT)?;
            }
            Self::Drop => site.network.plug(first, false)?,
            Self::Return => {
                site.network.plug(first, false)?;
                sleep(Duration::from_secs(60));
                site.network.plug(first, true)?;
            }
            Self::Both => {
                site.kill(first)?;
                site.kill(second)?;
                sleep(Duration::from_secs(2));
                site.serve(first)?;
                site.serve(second)?;
            }
            Self::Split => {
                site.network.isolate(&[first, second], true)?;
                sleep(Duration::from_secs(10));
                site.network.isolate(&[first, second], false)?;
            }
            Self::Apart => {
                site.network.mute(first, false)?;
                sleep(Duration::from_secs(2));
                site.kill(first)?;
            }
        }
        Ok(None)
    }
}
