//! Sends datagrams at a constant rate, every 200 µs those that are due.

use std::{io::IoSlice, os::fd::AsRawFd as _};

use anyhow::Context as _;
use nix::{
    cmsg_space,
    errno::Errno,
    libc::in_pktinfo,
    sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, sendmsg},
};

use super::{
    super::{
        orders::Run,
        wire::{Mark, Purpose, SIZE},
    },
    line::{Line, Route},
    now,
    sink::source,
    wait_until,
};

/// How often datagrams are sent, in nanoseconds.
const TICK: u64 = 200_000;
/// Datagrams that are late by more, for example because the host was busy, are not sent at all.
const LATE: u64 = 2_000_000;

/// Sends for the time of the run. Returns the number of datagrams.
pub(super) fn send(line: &Line, routes: &[Route], run: &Run) -> anyhow::Result<u64> {
    let mut train = Train::new(line, run, routes.first().map_or(0, |route| route.prefix.len()));
    let mut turn = routes.iter().cycle();
    let mut due = Due::new(run);
    let mut sent = 0;
    let mut tick = run.time.from;
    while tick < run.time.until {
        wait_until(tick);
        for _ in 0..due.bursts(now()) {
            let route = turn.next().context("there is no session")?;
            sent += u64::from(train.send(route)?);
        }
        tick = (tick + TICK).max(now().saturating_sub(TICK));
    }
    Ok(sent)
}

/// How many bursts have to be sent.
struct Due {
    from: u64,
    until: u64,
    per_nanosecond: f64,
    /// Bursts that were sent or left out.
    done: f64,
}

impl Due {
    fn new(run: &Run) -> Self {
        let per_nanosecond = run.per_second / f64::from(run.burst) / 1e9;
        Self { from: run.time.from, until: run.time.until, per_nanosecond, done: 0.0 }
    }

    fn bursts(&mut self, now: u64) -> u32 {
        #[expect(clippy::cast_precision_loss, reason = "a run takes seconds")]
        let passed = |time: u64| time.saturating_sub(self.from) as f64;
        let due = passed(now.min(self.until)) * self.per_nanosecond;
        let oldest = passed(now.min(self.until).saturating_sub(LATE)) * self.per_nanosecond;
        self.done = self.done.max(oldest.floor());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let bursts = (due - self.done).floor().max(0.0) as u32;
        self.done += f64::from(bursts);
        bursts
    }
}

/// The datagrams of one burst.
struct Train<'a> {
    line: &'a Line,
    run: &'a Run,
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
    /// Datagrams that each session has sent.
    sequences: Vec<u32>,
}

impl<'a> Train<'a> {
    fn new(line: &'a Line, run: &'a Run, prefix: usize) -> Self {
        let burst = run.burst as usize;
        Self {
            line,
            run,
            bytes: vec![0; (prefix + SIZE) * burst],
            headers: MultiHeaders::preallocate(burst, Some(cmsg_space!(in_pktinfo))),
            sequences: vec![0; (run.first + run.sessions) as usize],
        }
    }

    /// Sends one burst of a session. Returns the number of datagrams that left.
    fn send(&mut self, route: &Route) -> anyhow::Result<u32> {
        self.write(route);
        let sent = if self.run.trains || self.run.burst == 1 {
            self.send_joined(route)
        } else {
            self.send_singly(route)
        };
        match sent {
            Ok(sent) => Ok(sent),
            // The relay is not there any more, or the interface is full.
            Err(Errno::ECONNREFUSED | Errno::ENOBUFS | Errno::EAGAIN | Errno::EPERM) => Ok(0),
            Err(error) => Err(error).context("sending datagrams"),
        }
    }

    fn write(&mut self, route: &Route) {
        let (spi, size) = (self.line.side.spi(route.session), route.prefix.len() + SIZE);
        let Run { relay, number, .. } = *self.run;
        let mark = Mark {
            relay,
            purpose: Purpose::Data,
            run: number,
            session: route.session,
            sent: now(),
        };
        let sequence = &mut self.sequences[route.session as usize];
        for bytes in self.bytes.chunks_exact_mut(size) {
            *sequence += 1;
            let (prefix, datagram) = bytes.split_at_mut(route.prefix.len());
            prefix.copy_from_slice(route.prefix);
            // Every run has its own range, so that a flow's numbers grow.
            mark.write(spi, (u32::from(number) << 16).wrapping_add(*sequence), datagram);
        }
    }

    fn send_joined(&self, route: &Route) -> nix::Result<u32> {
        let (from, to) = (source(route.from), SockaddrIn::from(route.to));
        let size = u16::try_from(route.prefix.len() + SIZE).unwrap_or(u16::MAX);
        let controls =
            [ControlMessage::Ipv4PacketInfo(&from), ControlMessage::UdpGsoSegments(&size)];
        let controls = if self.run.burst == 1 { &controls[..1] } else { &controls };
        let pieces = [IoSlice::new(&self.bytes)];
        let fd = self.line.socket.as_raw_fd();
        sendmsg(fd, &pieces, controls, MsgFlags::empty(), Some(&to)).map(|_| self.run.burst)
    }

    fn send_singly(&mut self, route: &Route) -> nix::Result<u32> {
        let from = source(route.from);
        let size = route.prefix.len() + SIZE;
        let pieces: Vec<_> =
            self.bytes.chunks_exact(size).map(|piece| [IoSlice::new(piece)]).collect();
        let to = vec![Some(SockaddrIn::from(route.to)); pieces.len()];
        let controls = [ControlMessage::Ipv4PacketInfo(&from)];
        let fd = self.line.socket.as_raw_fd();
        let sent = sendmmsg(fd, &mut self.headers, pieces.iter(), to, controls, MsgFlags::empty());
        sent.map(|sent| u32::try_from(sent.count()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::orders::Span, *};

    fn due(per_second: f64, burst: u32) -> Due {
        let time = Span { from: 1_000_000_000, until: 2_000_000_000 };
        let (relay, number, first, sessions, trains) = (0, 0, 1, 1, false);
        Due::new(&Run { relay, number, first, sessions, burst, per_second, time, trains })
    }

    #[test]
    fn the_rate_is_kept_over_ticks() {
        let mut due = due(12_000.0, 12);

        let sent: u32 = (0..=5000).map(|tick| due.bursts(1_000_000_000 + tick * TICK)).sum();

        assert_eq!(sent, 1000);
        assert_eq!(due.bursts(9_000_000_000), 0, "nothing after the end");
    }

    #[test]
    fn what_is_late_by_more_than_two_milliseconds_is_left_out() {
        let mut due = due(1_000_000.0, 1);

        assert_eq!(due.bursts(1_000_000_000), 0);
        let sent = due.bursts(1_500_000_000);

        assert!((1999..=2001).contains(&sent), "{sent}");
    }
}
