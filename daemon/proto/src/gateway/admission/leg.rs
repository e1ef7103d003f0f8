//! One side of a session: its control bytes and its flows of datagrams.

use std::{net::SocketAddr, time::Duration};

use super::{
    super::{
        Destination, FlowId, Key, Side, Slot, Spi,
        chunks::{Item, Reader},
        retained::Retained,
    },
    session::Far,
    terms::Seen,
};
use crate::Time;

/// The state of one side.
#[derive(Debug)]
pub(super) struct Leg {
    slot: Slot,
    side: Side,
    reader: Reader,
    spis: Vec<Spi>,
    /// SPIs that only the current control connection revealed.
    new_spis: Vec<Spi>,
    retained: Retained,
    learned: Learned,
    /// Whether the current control connection sent Bye.
    said_bye: bool,
    flows: Vec<Flow>,
}

/// What the datagrams of this side have revealed since the control connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// There was no new flow.
    Nothing,
    /// There was a new flow, assigned to the session because no other one was likely.
    Guess,
    /// There was a new flow whose SPI the control connection revealed.
    Flow,
}

/// The datagrams with one SPI from one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    pub(super) id: FlowId,
    /// `None` after the client moved to another address.
    pub(super) from: Option<SocketAddr>,
    /// The first source of an agent's flow, if the flow has moved.
    home: Option<SocketAddr>,
    pub(super) active: Time,
    spi: Spi,
    guess: Option<Guess>,
    counted: u64,
    sequence: Option<u32>,
}

/// A flow, and why it belongs to the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) from: SocketAddr,
    pub(super) spi: Spi,
    /// The word after the SPI; `None` if the SPI is a guess.
    pub(super) sequence: Option<u32>,
    pub(super) because: Because,
}

/// Why a flow belongs to a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Because {
    /// It belonged to the session before.
    Known,
    /// The control connection revealed its SPI.
    Revealed,
    /// No other session is likely.
    Guess(Guess),
}

/// A flow whose SPI nothing revealed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    /// The other word that may be the SPI.
    pub(super) instead: Option<Spi>,
}

/// More than a stream of the documented layout has.
const MAX_SPIS: usize = 16;

/// How long a source must be silent before another one is accepted.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// The largest difference of sequence numbers (RFC 4303, section 2.2) within a flow: as many
/// datagrams as may be lost in a pause.
const WINDOW: u32 = 1 << 20;

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

    /// Starts a control connection.
    pub(super) fn connect(&mut self) {
        self.reader = Reader::default();
        self.new_spis.clear();
        self.retained.clear();
        self.learned = Learned::Nothing;
        self.said_bye = false;
    }

    /// Reads control bytes. Returns the offset of the new ones among the retained bytes.
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

    /// Whether the control bytes have had the documented layout so far.
    pub(super) fn understands(&self) -> bool {
        self.reader.understands()
    }

    /// Whether parsed chunks contain the SPI, in either byte order.
    pub(super) fn names(&self, spi: Spi) -> bool {
        self.spis.contains(&spi) || self.spis.contains(&spi.swapped())
    }

    pub(super) fn revealed(&self) -> &[Spi] {
        &self.spis
    }

    pub(super) fn retained(&self) -> &Retained {
        &self.retained
    }

    /// Whether the retained bytes contain the SPI, in either byte order.
    pub(super) fn retains(&self, spi: Spi) -> bool {
        self.retained.contains(spi)
    }

    /// Whether the current control connection revealed the SPI, and no earlier one did.
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

    /// Whether the last control connection sent Bye or ByeOk.
    pub(super) fn said_bye(&self) -> bool {
        self.said_bye
    }

    pub(super) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The routes of its flows; for a client, only those from its current address.
    pub(super) fn routes(
        &self,
        at: Option<SocketAddr>,
        far: Option<Far>,
    ) -> impl Iterator<Item = (Key, Destination)> {
        let is_there = move |flow: &&Flow| self.side == Side::Agent || flow.from == at;
        let routes = move |flow: &Flow| Some((self.key(flow)?, far?.destination(flow.id)));
        self.flows.iter().filter(is_there).filter_map(routes)
    }

    /// Updates the flows from their counters.
    pub(super) fn look(&mut self, now: Time, seen: impl Fn(FlowId) -> Seen) {
        for flow in &mut self.flows {
            let Seen { datagrams, sequence } = seen(flow.id);
            flow.sequence = sequence;
            flow.note(datagrams, now);
        }
    }

    /// Whether this source has been silent for [`SILENCE`].
    pub(super) fn is_silent(&self, from: SocketAddr, now: Time) -> bool {
        let mut flows = self.flows.iter().filter(|flow| flow.from == Some(from));
        flows.all(|flow| flow.is_silent(now))
    }

    /// Whether all flows from this source are guesses.
    pub(super) fn only_guesses(&self, from: SocketAddr) -> bool {
        self.flows.iter().filter(|flow| flow.from == Some(from)).all(Flow::is_guessed)
    }

    /// Whether control bytes revealed the SPI.
    pub(super) fn is_revealed(&self, placed: &Placed) -> bool {
        match placed.because {
            Because::Revealed => true,
            Because::Known => self.known(placed).is_some_and(|flow| !flow.is_guessed()),
            Because::Guess(_) => false,
        }
    }

    /// Whether the sequence number makes it unlikely that the datagram belongs to the flow with its
    /// SPI. A plausible number proves nothing.
    pub(super) fn is_out_of_sequence(&self, placed: &Placed) -> bool {
        let flow = self.known(placed).filter(|flow| !flow.is_guessed());
        match (flow.and_then(|flow| flow.sequence), placed.sequence) {
            (Some(last), Some(this)) => {
                this.wrapping_sub(last).min(last.wrapping_sub(this)) > WINDOW
            }
            _ => false,
        }
    }

    /// Whether the agent may send the datagram from this source: a former source of the flow, or
    /// any while the flow is silent.
    pub(super) fn may_come(&self, placed: &Placed, now: Time) -> bool {
        let Some(flow) = self.known(placed) else { return true };
        let is_there = [flow.from, flow.home].contains(&Some(placed.from)) || flow.from.is_none();
        let is_proved = flow.is_guessed() && self.is_revealed(placed);
        is_there || is_proved || flow.is_silent(now) && !self.is_out_of_sequence(placed)
    }

    fn known(&self, placed: &Placed) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.is_of(placed))
    }

    /// Adds a flow, or updates a known one whose source or SPI has changed.
    pub(super) fn place(&mut self, placed: Placed, now: Time) -> FlowId {
        let Placed { from, spi, because, .. } = placed;
        let known = |flow: &Flow| flow.is_of(&placed);
        let flow = match self.flows.iter().position(known).map(|at| self.flows.remove(at)) {
            Some(flow) => {
                let guess = match because {
                    Because::Revealed => None,
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
        // Most sessions have one flow, and `Vec` would make room for four.
        self.flows.reserve_exact(1);
        self.flows.push(flow);
        self.learned = if flow.guess.is_some() { Learned::Guess } else { Learned::Flow };
        flow.id
    }

    /// Forgets the sources of its flows; their next datagrams reveal them again.
    pub(super) fn uproot(&mut self) {
        self.flows.iter_mut().for_each(|flow| flow.from = None);
    }

    pub(super) fn forget(&mut self, id: FlowId) {
        self.retain(|flow| flow.id != id);
    }

    /// Updates when the flows were active.
    pub(super) fn note(&mut self, now: Time, counted: impl Fn(FlowId) -> u64) {
        self.flows.iter_mut().for_each(|flow| flow.note(counted(flow.id), now));
    }

    pub(super) fn has_idle(&self, now: Time, idle: Duration) -> bool {
        self.flows.iter().any(|flow| now.since(flow.active) >= idle)
    }

    /// Ends the flows that were silent for `idle`.
    pub(super) fn end_idle(&mut self, now: Time, idle: Duration) {
        self.retain(|flow| now.since(flow.active) < idle);
    }

    /// Keeps what is known; stops looking for new flows.
    pub(super) fn stop_learning(&mut self) {
        self.wipe();
        if !self.flows.is_empty() {
            self.learned = Learned::Flow;
        }
    }

    /// The key of its route; `None` while its source is unknown.
    fn key(&self, flow: &Flow) -> Option<Key> {
        Some(Key { side: self.side, from: flow.from?, spi: flow.spi })
    }

    /// A free slot for a flow, or that of the flow that has been silent longest.
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
    /// Whether the flow has this source and SPI.
    pub(super) fn is(&self, from: SocketAddr, spi: Spi) -> bool {
        self.from == Some(from) && self.spis().any(|own| own == spi)
    }

    pub(super) fn has(&self, spi: Spi) -> bool {
        self.spi == spi
    }

    fn is_of(&self, placed: &Placed) -> bool {
        self.spi == placed.spi || self.is(placed.from, placed.spi)
    }

    /// The flow may have been active at any time since the last update, so it counts as active now.
    fn note(&mut self, counted: u64, now: Time) {
        if self.counted != counted {
            (self.counted, self.active) = (counted, now);
        }
    }

    fn is_silent(&self, now: Time) -> bool {
        now.since(self.active) >= SILENCE
    }

    /// The SPI, as far as it is known.
    pub(super) fn spi(&self) -> Spi {
        self.spi
    }

    pub(super) fn is_guessed(&self) -> bool {
        self.guess.is_some()
    }

    /// The SPI, or both words that may be the SPI.
    pub(super) fn spis(&self) -> impl Iterator<Item = Spi> + use<> {
        let instead = self.guess.and_then(|guess| guess.instead);
        [Some(self.spi), instead].into_iter().flatten()
    }
}
