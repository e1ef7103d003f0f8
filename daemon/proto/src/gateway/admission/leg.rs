//! One side of a session: the control bytes that come from there, and the flows of datagrams.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::super::{
    Change, Destination, FlowId, Key, Side, Slot, Spi,
    chunks::{Found, Reader},
    retained::Retained,
};
use crate::Time;

/// What is known of one side.
#[derive(Debug)]
pub(super) struct Leg {
    slot: Slot,
    side: Side,
    reader: Reader,
    spis: Vec<Spi>,
    retained: Retained,
    learned: Learned,
    flows: Vec<Flow>,
}

/// What came from there since the control connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// No new flow.
    Nothing,
    /// A flow that is the session's since it can hardly be another's.
    Guess,
    /// A flow whose SPI the control connection told.
    Flow,
}

/// Datagrams with one SPI from one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    pub(super) id: FlowId,
    /// Unknown since the client came from another address.
    pub(super) from: Option<SocketAddr>,
    pub(super) active: Time,
    spi: Spi,
    guess: Option<Guess>,
    counted: u64,
}

/// Where a flow belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) from: SocketAddr,
    pub(super) spi: Spi,
    pub(super) because: Because,
}

/// Why a flow is thought to be a session's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Because {
    /// It was before.
    Known,
    /// The session's control connection told the SPI.
    Told,
    /// No other session can have it.
    Guess(Guess),
}

/// That nothing told the SPI of a flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    /// What may be its SPI as well.
    pub(super) instead: Option<Spi>,
}

/// More than a stream of the documented layout has.
const MAX_SPIS: usize = 16;

/// Where a side's datagrams go, and the own address that they leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Far {
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
}

impl Far {
    pub(super) fn destination(self, flow: FlowId) -> Destination {
        Destination { to: self.to, from: self.from, flow }
    }
}

impl Leg {
    pub(super) fn new(slot: Slot, side: Side) -> Self {
        Self {
            slot,
            side,
            reader: Reader::default(),
            spis: Vec::new(),
            retained: Retained::default(),
            learned: Learned::Nothing,
            flows: Vec::new(),
        }
    }

    /// Begins a control connection.
    pub(super) fn connect(&mut self) {
        self.reader = Reader::default();
        self.retained.clear();
        self.learned = Learned::Nothing;
    }

    /// Takes control bytes.
    pub(super) fn read(&mut self, bytes: &[u8], retain: bool) {
        let mut found = Vec::new();
        self.reader.read(bytes, &mut found);
        for found in found {
            let Found::Spi(spi) = found else { continue };
            self.spis.retain(|known| *known != spi);
            if self.spis.len() == MAX_SPIS {
                self.spis.remove(0);
            }
            self.spis.push(spi);
        }
        if retain {
            self.retained.push(bytes);
        }
    }

    /// Whether the control bytes have the documented layout, as far as they came.
    pub(super) fn understands(&self) -> bool {
        self.reader.understands()
    }

    /// Whether parsed chunks name the SPI, in either byte order.
    pub(super) fn names(&self, spi: Spi) -> bool {
        self.spis.contains(&spi) || self.spis.contains(&spi.swapped())
    }

    /// Whether the SPI stands in the retained bytes, in either byte order.
    pub(super) fn retains(&self, spi: Spi) -> bool {
        self.retained.contains(spi)
    }

    /// Wipes the retained bytes.
    pub(super) fn wipe(&mut self) {
        self.retained.clear();
    }

    pub(super) fn learned(&self) -> Learned {
        self.learned
    }

    pub(super) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    pub(super) fn routes(&self, far: Option<Far>) -> impl Iterator<Item = (Key, Destination)> {
        let routes = move |flow: &Flow| Some((self.key(flow)?, far?.destination(flow.id)));
        self.flows.iter().filter_map(routes)
    }

    /// Makes a flow this side's own: a new one, or a known one that comes from elsewhere or whose
    /// SPI is another one than was guessed.
    pub(super) fn place(&mut self, placed: Placed, now: Time, changes: &mut Vec<Change>) -> FlowId {
        let Placed { from, spi, because } = placed;
        let known = |flow: &Flow| flow.spi == spi || flow.is(from, spi);
        let flow = match self.flows.iter().position(known).map(|at| self.flows.remove(at)) {
            Some(flow) => {
                if flow.from != Some(from) || flow.spi != spi {
                    changes.extend(self.key(&flow).map(Change::Removed));
                }
                let guess = match because {
                    Because::Told => None,
                    _ if flow.spi == spi => flow.guess,
                    _ => flow.guess.map(|_| Guess { instead: None }),
                };
                Flow { from: Some(from), spi, active: now, guess, ..flow }
            }
            None => {
                let id = self.free_place(changes);
                let guess = if let Because::Guess(guess) = because { Some(guess) } else { None };
                Flow { id, from: Some(from), spi, active: now, guess, counted: 0 }
            }
        };
        self.flows.push(flow);
        self.learned = if flow.guess.is_some() { Learned::Guess } else { Learned::Flow };
        flow.id
    }

    /// The routes of its flows end. Where they come from next is told by their next datagrams.
    pub(super) fn uproot(&mut self, changes: &mut Vec<Change>) {
        changes.extend(self.flows.iter().filter_map(|flow| self.key(flow)).map(Change::Removed));
        self.flows.iter_mut().for_each(|flow| flow.from = None);
    }

    /// Gives up a flow.
    pub(super) fn forget(&mut self, id: FlowId, changes: &mut Vec<Change>) {
        self.retain(changes, |flow| flow.id != id);
    }

    /// Lets time pass; flows that were silent for so long end.
    pub(super) fn tick(
        &mut self,
        now: Time,
        idle: Option<Duration>,
        counted: impl Fn(FlowId) -> u64,
        changes: &mut Vec<Change>,
    ) {
        for flow in &mut self.flows {
            let count = counted(flow.id);
            if flow.counted != count {
                (flow.counted, flow.active) = (count, now);
            }
        }
        if let Some(idle) = idle {
            self.retain(changes, |flow| now.since(flow.active) < idle);
        }
    }

    /// What came before stands, since nothing new came.
    pub(super) fn stop_learning(&mut self) {
        self.wipe();
        if !self.flows.is_empty() {
            self.learned = Learned::Flow;
        }
    }

    /// What its datagrams are recognised by, where it is known where they come from.
    fn key(&self, flow: &Flow) -> Option<Key> {
        Some(Key { side: self.side, from: flow.from?, spi: flow.spi })
    }

    /// A place for one more flow; the flow that was silent for the longest time leaves its own.
    fn free_place(&mut self, changes: &mut Vec<Change>) -> FlowId {
        let taken = |id: &FlowId| self.flows.iter().any(|flow| flow.id == *id);
        let free = self.slot.flows(self.side).find(|id| !taken(id));
        let silent = self.flows.iter().min_by_key(|flow| flow.active).map(|flow| flow.id);
        let id = free.or(silent).expect("there are places, and each is free or some flow's");
        self.forget(id, changes);
        id
    }

    fn retain(&mut self, changes: &mut Vec<Change>, keep: impl Fn(&Flow) -> bool) {
        let gone: Vec<_> = self.flows.extract_if(.., |flow| !keep(flow)).collect();
        changes.extend(gone.iter().filter_map(|flow| self.key(flow)).map(Change::Removed));
        if self.flows.is_empty() && !gone.is_empty() {
            self.learned = Learned::Nothing;
        }
    }
}

impl Flow {
    /// Whether datagrams with that SPI from there are its own.
    pub(super) fn is(&self, from: SocketAddr, spi: Spi) -> bool {
        self.from == Some(from) && self.spis().any(|own| own == spi)
    }

    pub(super) fn has(&self, spi: Spi) -> bool {
        self.spi == spi
    }

    pub(super) fn is_guessed(&self) -> bool {
        self.guess.is_some()
    }

    /// What its SPI is or may be.
    pub(super) fn spis(&self) -> impl Iterator<Item = Spi> + use<> {
        let instead = self.guess.and_then(|guess| guess.instead);
        [Some(self.spi), instead].into_iter().flatten()
    }
}
