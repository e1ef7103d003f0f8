//! Begins and ends sessions at a constant rate, in a thread of its own, so that the datagrams of
//! others are sent and received at the same time.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{
    super::orders::{Span, Turnover},
    controls::Controls,
    hello,
    line::Line,
    wait_until,
};

/// The thread, which returns the microseconds that each announcement took.
pub(super) type Changing = JoinHandle<(Controls, anyhow::Result<Vec<u32>>)>;

/// Sessions that begin or end together.
const TOGETHER: u32 = 2;

pub(super) fn start(line: Arc<Line>, mut controls: Controls, order: Turnover) -> Changing {
    thread::spawn(move || {
        let done = change(&line, &mut controls, &order);
        (controls, done)
    })
}

fn change(line: &Line, controls: &mut Controls, order: &Turnover) -> anyhow::Result<Vec<u32>> {
    let Turnover { relay, ending, beginning, sessions, time } = *order;
    let relay = line.relay(relay)?;
    let mut announced = Vec::new();
    for done in (0..sessions).step_by(TOGETHER as usize) {
        wait_until(due(time, done, sessions));
        let last = (done + TOGETHER).min(sessions) - 1;
        controls.hang_up(relay.id, ending + done..=ending + last);
        let begun = beginning + done..=beginning + last;
        announced.extend(controls.set_up(&relay, begun.clone())?);
        hello::set_up(line, &relay, begun)?;
    }
    Ok(announced)
}

/// When to continue, after so many sessions.
fn due(time: Span, done: u32, sessions: u32) -> u64 {
    time.from + (time.until - time.from) / u64::from(sessions) * u64::from(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_spread_over_the_time() {
        let time = Span { from: 1000, until: 2000 };

        assert_eq!([0, 2, 4].map(|done| due(time, done, 5)), [1000, 1400, 1800]);
    }
}
