//! One side of a session: the control bytes that come from there, and the flows of datagrams.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    super::{
        Destination, FlowId, Key, Side, Slot, Spi,
        chunks::{Item, Reader},
        retained::Retained,
    },
    terms::Seen,
};
use crate::Time;

/// What is known of one side.
#[derive(Debug)]
pub(super) struct Leg {
    slot: Slot,
    side: Side,
    reader: Reader,
    spis: Vec<Spi>,
    /// Those of them that no control connection named before the present one.
    new_spis: Vec<Spi>,
    retained: Retained,
    learned: Learned,
    /// Whether the present control connection said Bye.
    said_bye: bool,
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
    /// Where an agent's flow came from first, if it moved since.
    home: Option<SocketAddr>,
    pub(super) active: Time,
    spi: Spi,
    guess: Option<Guess>,
    counted: u64,
    sequence: Option<u32>,
}

/// Where a flow belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) from: SocketAddr,
    pub(super) spi: Spi,
    /// What follows the SPI, unless that is a guess.
    pub(super) sequence: Option<u32>,
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

/// How long a source is silent before another one is followed.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// How far sequence numbers of one flow may be apart: as many datagrams as a pause may have lost.
const WINDOW: u32 = 1 << 20;

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
            new_spis: Vec::new(),
            retained: Retained::default(),
            learned: Learned::Nothing,
            said_bye: false,
            flows: Vec::new(),
        }
    }

    /// Begins a control connection.
    pub(super) fn connect(&mut self) {
        self.reader = Reader::default();
        self.new_spis.clear();
        self.retained.clear();
        self.learned = Learned::Nothing;
        self.said_bye = false;
    }

    /// Takes control bytes. Returns where what is new begins in those that are retained.
    pub(super) fn read(&mut self, bytes: &[u8], retain: bool) -> usize {
        let mut found = Vec::new();
        self.reader.read(bytes, &mut found);
        for found in found {
            let spi = match found {
                Item::Spi(spi) => spi,
                Item::Bye => {
                    self.said_bye = true;
                    continue;
                }
                Item::Tag(_) => continue,
            };
            if !self.names(spi) && self.new_spis.len() < MAX_SPIS {
                self.new_spis.push(spi);
            }
            self.spis.retain(|known| *known != spi);
            if self.spis.len() == MAX_SPIS {
                self.spis.remove(0);
            }
            self.spis.push(spi);
        }
        if retain { self.retained.push(bytes) } else { 0 }
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

    /// Whether it stands in those from that place on.
    pub(super) fn retains_behind(&self, start: usize, spi: Spi) -> bool {
        self.retained.contains_behind(start, spi)
    }

    /// Whether the present control connection told the SPI, and none before it.
    pub(super) fn is_new(&self, spi: Spi) -> bool {
        let is_new = [spi, spi.swapped()].iter().any(|spi| self.new_spis.contains(spi));
        is_new || !self.names(spi) && self.retains(spi)
    }

    /// Wipes the retained bytes.
    pub(super) fn wipe(&mut self) {
        self.retained.clear();
    }

    pub(super) fn learned(&self) -> Learned {
        self.learned
    }

    /// Whether the last control connection said Bye, or agreed to one.
    pub(super) fn said_bye(&self) -> bool {
        self.said_bye
    }

    pub(super) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The routes of its flows; a client's are those from where it is.
    pub(super) fn routes(
        &self,
        at: Option<SocketAddr>,
        far: Option<Far>,
    ) -> impl Iterator<Item = (Key, Destination)> {
        let is_there = move |flow: &&Flow| self.side == Side::Agent || flow.from == at;
        let routes = move |flow: &Flow| Some((self.key(flow)?, far?.destination(flow.id)));
        self.flows.iter().filter(is_there).filter_map(routes)
    }

    /// Notes what went through the flows until now.
    pub(super) fn look(&mut self, now: Time, seen: impl Fn(FlowId) -> Seen) {
        for flow in &mut self.flows {
            let Seen { datagrams, sequence } = seen(flow.id);
            flow.sequence = sequence;
            flow.note(datagrams, now);
        }
    }

    /// Whether nothing came from there for long enough.
    pub(super) fn is_silent(&self, from: SocketAddr, now: Time) -> bool {
        let mut flows = self.flows.iter().filter(|flow| flow.from == Some(from));
        flows.all(|flow| flow.is_silent(now))
    }

    /// Whether everything that came from there is a guess.
    pub(super) fn only_guesses(&self, from: SocketAddr) -> bool {
        self.flows.iter().filter(|flow| flow.from == Some(from)).all(Flow::is_guessed)
    }

    /// Whether the SPI was told.
    pub(super) fn is_told(&self, placed: &Placed) -> bool {
        match placed.because {
            Because::Told => true,
            Because::Known => self.known(placed).is_some_and(|flow| !flow.is_guessed()),
            Because::Guess(_) => false,
        }
    }

    /// Whether a datagram can hardly be of the flow that has its SPI. One that can need not be.
    pub(super) fn is_out_of_sequence(&self, placed: &Placed) -> bool {
        let flow = self.known(placed).filter(|flow| !flow.is_guessed());
        match (flow.and_then(|flow| flow.sequence), placed.sequence) {
            (Some(last), Some(this)) => {
                this.wrapping_sub(last).min(last.wrapping_sub(this)) > WINDOW
            }
            _ => false,
        }
    }

    /// Whether an agent's datagram may come from there: from where its flow was before, or anywhere
    /// while that is silent.
    pub(super) fn may_come(&self, placed: &Placed, now: Time) -> bool {
        let Some(flow) = self.known(placed) else { return true };
        let is_there = [flow.from, flow.home].contains(&Some(placed.from)) || flow.from.is_none();
        let is_proved = flow.is_guessed() && self.is_told(placed);
        is_there || is_proved || flow.is_silent(now) && !self.is_out_of_sequence(placed)
    }

    fn known(&self, placed: &Placed) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.is_of(placed))
    }

    /// Makes a flow this side's own: a new one, or a known one that comes from elsewhere or whose
    /// SPI is another one than was guessed.
    pub(super) fn place(&mut self, placed: Placed, now: Time) -> FlowId {
        let Placed { from, spi, because, .. } = placed;
        let known = |flow: &Flow| flow.is_of(&placed);
        let flow = match self.flows.iter().position(known).map(|at| self.flows.remove(at)) {
            Some(flow) => {
                let guess = match because {
                    Because::Told => None,
                    _ if flow.spi == spi => flow.guess,
                    _ => flow.guess.map(|_| Guess { instead: None }),
                };
                let home = flow.home.or(flow.from).filter(|home| *home != from);
                Flow { from: Some(from), home, spi, active: now, guess, ..flow }
            }
            None => {
                let id = self.free_place();
                let guess = if let Because::Guess(guess) = because { Some(guess) } else { None };
                let (counted, sequence) = (0, None);
                Flow {
                    id,
                    from: Some(from),
                    home: None,
                    spi,
                    active: now,
                    guess,
                    counted,
                    sequence,
                }
            }
        };
        self.flows.push(flow);
        self.learned = if flow.guess.is_some() { Learned::Guess } else { Learned::Flow };
        flow.id
    }

    /// Where its flows come from next is told by their next datagrams.
    pub(super) fn uproot(&mut self) {
        self.flows.iter_mut().for_each(|flow| flow.from = None);
    }

    /// Gives up a flow.
    pub(super) fn forget(&mut self, id: FlowId) {
        self.retain(|flow| flow.id != id);
    }

    /// Lets time pass; flows that were silent for so long end.
    pub(super) fn tick(
        &mut self,
        now: Time,
        idle: Option<Duration>,
        counted: impl Fn(FlowId) -> u64,
    ) {
        self.flows.iter_mut().for_each(|flow| flow.note(counted(flow.id), now));
        if let Some(idle) = idle {
            self.retain(|flow| now.since(flow.active) < idle);
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
    fn free_place(&mut self) -> FlowId {
        let taken = |id: &FlowId| self.flows.iter().any(|flow| flow.id == *id);
        let free = self.slot.flows(self.side).find(|id| !taken(id));
        let silent = self.flows.iter().min_by_key(|flow| flow.active).map(|flow| flow.id);
        let id = free.or(silent).expect("there are places, and each is free or some flow's");
        self.forget(id);
        id
    }

    fn retain(&mut self, keep: impl Fn(&Flow) -> bool) {
        let before = self.flows.len();
        self.flows.retain(keep);
        if self.flows.is_empty() && before > 0 {
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

    fn is_of(&self, placed: &Placed) -> bool {
        self.spi == placed.spi || self.is(placed.from, placed.spi)
    }

    /// It may have been active at any time since the last look, so it counts as active now.
    fn note(&mut self, counted: u64, now: Time) {
        if self.counted != counted {
            (self.counted, self.active) = (counted, now);
        }
    }

    fn is_silent(&self, now: Time) -> bool {
        now.since(self.active) >= SILENCE
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
