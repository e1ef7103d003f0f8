//! What the twin knows of a session.

use std::collections::BTreeMap;

use super::{super::*, Source};

/// The twin's state of a session.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) state: State,
    /// Where the client last sent the tag, since the restart.
    pub(super) place: Option<u8>,
    pub(super) replaced: Option<Control>,
    /// The client's flows, by number.
    pub(super) flows: BTreeMap<u32, Flow>,
    /// Destination of the agent's datagrams.
    pub(super) answers: Option<Source>,
    /// Former sources, which are accepted at once.
    former: Vec<Source>,
    /// Whether a flow began or moved since the tag was sent.
    pub(super) settled: bool,
    /// When that is assumed without a flow.
    learning: Option<Time>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    Announced { until: Time },
    Connected(Control),
    Waiting { since: Time },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// `None` after the client moved.
    from: Option<Source>,
    active: Time,
    /// Whether it had datagrams since the last check.
    sent: bool,
    /// Higher if it was placed later.
    placed: usize,
}

impl Known {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            place: None,
            replaced: None,
            flows: BTreeMap::new(),
            answers: None,
            former: Vec::new(),
            settled: false,
            learning: None,
        }
    }

    pub(super) fn connect(&mut self, control: Control, place: u8, now: Time) {
        if let State::Connected(before) = self.state {
            self.replaced = Some(before);
        }
        if self.place.replace(place) != Some(place) {
            self.flows.values_mut().for_each(|flow| flow.from = None);
            (self.answers, self.former) = (None, Vec::new());
        }
        self.state = State::Connected(control);
        self.settled = false;
        self.learning = Some(now + Duration::from_mins(1));
    }

    /// Whether a datagram from this source is accepted.
    pub(super) fn client_sent(&mut self, number: u32, from: Source, now: Time) -> bool {
        let placed = self.flows.values().map(|flow| flow.placed + 1).max().unwrap_or_default();
        if let Some(flow) = self.flows.get_mut(&number)
            && flow.from == Some(from)
            && self.answers == Some(from)
        {
            flow.sent = true;
            return true;
        }
        self.look(now);
        let mut there = self.flows.values().filter(|flow| flow.from == self.answers);
        let is_silent = there.all(|flow| now.since(flow.active) >= Duration::from_secs(1));
        match (self.answers, self.former.iter().position(|former| *former == from)) {
            (None, _) => {}
            (Some(at), _) if at == from => {}
            (_, Some(at)) => self.former.truncate(at),
            (Some(_), None) if !is_silent => return false,
            (Some(at), None) if self.former.len() < 8 => self.former.push(at),
            _ => {}
        }
        self.answers = Some(from);
        self.flows.insert(number, Flow { from: Some(from), active: now, sent: true, placed });
        self.settled = true;
        true
    }

    fn look(&mut self, now: Time) {
        for flow in self.flows.values_mut().filter(|flow| flow.sent) {
            (flow.sent, flow.active) = (false, now);
        }
    }

    pub(super) fn tick(&mut self, now: Time, timeouts: &Timeouts) {
        self.look(now);
        if !matches!(self.state, State::Connected(_)) && !self.flows.is_empty() {
            self.flows.retain(|_, flow| now.since(flow.active) < timeouts.udp_idle);
            self.settled &= !self.flows.is_empty();
        }
        if !self.flows.values().any(|flow| flow.from == self.answers) {
            let liveliest = self.flows.values().max_by_key(|flow| (flow.active, flow.placed));
            self.answers = liveliest.and_then(|flow| flow.from);
            self.former.retain(|former| self.answers.is_some_and(|answers| answers != *former));
        }
        if self.learning.is_some_and(|until| now >= until) {
            self.learning = None;
            self.settled |= !self.flows.is_empty();
        }
    }

    pub(super) fn is_over(&self, now: Time, timeouts: &Timeouts) -> bool {
        match self.state {
            State::Announced { until } => now >= until,
            State::Connected(_) => false,
            State::Waiting { since } => now >= since + timeouts.resume && self.flows.is_empty(),
        }
    }

    pub(super) fn end(&self) -> End {
        match self.state {
            State::Announced { .. } => End::Unused,
            _ => End::ResumeTimeout,
        }
    }
}
