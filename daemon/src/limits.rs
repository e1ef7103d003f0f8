//! How many connections may be on their way to being admitted, in all and from one source: until a
//! tag was shown, everybody may be hostile.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections that were not admitted so far.
#[derive(Debug)]
pub(crate) struct Limits {
    in_all: usize,
    from_one: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    in_all: usize,
    sources: HashMap<IpAddr, usize>,
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<Limits>,
    source: IpAddr,
}

impl Limits {
    pub(crate) fn new(in_all: usize, from_one: usize) -> Arc<Self> {
        Arc::new(Self { in_all, from_one, present: Mutex::default() })
    }

    /// A place for one more connection from there, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let source = source(ip);
        let mut present = self.present();
        if present.in_all >= self.in_all {
            return None;
        }
        let here = present.sources.entry(source).or_default();
        if *here >= self.from_one {
            return None;
        }
        *here += 1;
        present.in_all += 1;
        Some(Place { limits: Arc::clone(self), source })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.limits.present();
        present.in_all -= 1;
        if let Some(here) = present.sources.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                present.sources.remove(&self.source);
            }
        }
    }
}

/// Who has one address of IPv6 has 2^64 of them.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_source_does_not_take_every_place() {
        let limits = Limits::new(3, 2);

        let first = limits.enter(ip("192.0.2.1")).unwrap();
        let _second = limits.enter(ip("192.0.2.1")).unwrap();

        assert!(limits.enter(ip("::ffff:192.0.2.1")).is_none());
        let other = limits.enter(ip("192.0.2.2"));
        assert!(other.is_some());
        assert!(limits.enter(ip("192.0.2.3")).is_none(), "full");
        drop(first);
        assert!(limits.enter(ip("192.0.2.1")).is_some());
        drop(other);
        assert_eq!(limits.present().sources.len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let limits = Limits::new(10, 1);

        let _first = limits.enter(ip("2001:db8:0:1::1")).unwrap();

        assert!(limits.enter(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(limits.enter(ip("2001:db8:0:2::1")).is_some());
    }
}
