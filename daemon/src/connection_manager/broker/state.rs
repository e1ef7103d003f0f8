//! The state of the broker: whether it is usable, and if not, why and since when.

use std::fmt;

use cmsg_config::{distrust, socket::BrokerStatus};
use cmsg_proto::Time;

use crate::tls::Refusal;

/// Clock differences of more seconds are reported as a possible cause.
const MOST_SKEW: u64 = 30;

/// Why the broker is not usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connection_manager) enum Trouble {
    /// It does not answer, or a proxy in front of it cannot reach it.
    Away(String),
    /// Its certificate is refused.
    Refused(Box<Refusal>),
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connection_manager) struct Look {
    pub(in crate::connection_manager) found: Result<(), Trouble>,
    /// Seconds by which its clock is ahead of ours, if known.
    pub(in crate::connection_manager) skew: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connection_manager) struct BrokerState {
    look: Look,
    /// Time by the wall clock since which it has been usable, or not usable for any reason.
    since: Time,
}

impl Trouble {
    /// How to fix the problem, if that is known.
    pub(in crate::connection_manager) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Away(_) => None,
            Self::Refused(refusal) if refusal.is_about_time() => Some(
                "renew the certificate on the broker, or correct the clock that is wrong; \
                 `pcoip-cmsg-setup status` has the details",
            ),
            Self::Refused(_) => Some(
                "if the broker's certificate was replaced, run `pcoip-cmsg-setup configure` at a \
                 terminal, or pin the new key with `--broker-pin`",
            ),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Away(_), Self::Away(_)) => true,
            (Self::Refused(one), Self::Refused(other)) => one.is_same(other),
            _ => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Refused(refusal) => write!(f, "the broker {refusal}"),
        }
    }
}

impl Look {
    /// The refusal that a wrong clock may have caused. If there is one, the broker is asked for its
    /// time.
    pub(in crate::connection_manager) fn about_time(&self) -> Option<&Refusal> {
        match &self.found {
            Err(Trouble::Refused(refusal)) if refusal.is_about_time() => Some(refusal),
            _ => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (&self.found, &other.found) {
            (Ok(()), Ok(())) => true,
            (Err(one), Err(other)) => one.is_same(other),
            _ => false,
        }
    }

    /// Why it is not usable, with the clock difference if that may be the cause.
    fn cause(&self) -> Option<String> {
        let trouble = self.found.as_ref().err()?;
        let is_about_time = self.about_time().is_some();
        let skew = self.skew.filter(|skew| is_about_time && skew.unsigned_abs() > MOST_SKEW);
        Some(match skew {
            None => trouble.to_string(),
            Some(skew) => {
                let side = if skew > 0 { "ahead of" } else { "behind" };
                let seconds = skew.unsigned_abs();
                format!("{trouble}; the broker's clock is {seconds} seconds {side} this host's")
            }
        })
    }
}

impl BrokerState {
    /// The state after the first check.
    pub(in crate::connection_manager) fn first(look: Look, now: Time) -> Self {
        Self { look, since: now }
    }

    /// The state after a further check. The last known clock difference is kept while the broker
    /// cannot be asked.
    pub(in crate::connection_manager) fn looked(self, look: Look, now: Time) -> Self {
        if self.look.found.is_ok() != look.found.is_ok() {
            return Self::first(look, now);
        }
        if !self.look.is_same(&look) {
            return Self { look, ..self };
        }
        let skew = look.skew.or(self.look.skew);
        Self { look: Look { skew, ..look }, since: self.since }
    }

    /// Whether a check found a different state.
    pub(in crate::connection_manager) fn differs(&self, look: &Look) -> bool {
        !self.look.is_same(look)
    }

    /// Why it is not usable, and how to fix that.
    pub(in crate::connection_manager) fn trouble(&self) -> Option<(String, Option<&'static str>)> {
        let trouble = self.look.found.as_ref().err()?;
        Some((self.look.cause()?, trouble.fix()))
    }

    /// The state for `GET /status`.
    pub(in crate::connection_manager) fn status(
        &self,
        url: String,
        is_verified: bool,
    ) -> BrokerStatus {
        BrokerStatus {
            url,
            is_verified,
            is_pinned: None,
            answers: self.look.found.is_ok(),
            reason: self.look.cause(),
            since: Some(distrust::date(self.since.as_secs())),
            refused: match &self.look.found {
                Err(Trouble::Refused(refusal)) => Some(refusal.status()),
                _ => None,
            },
            clock_skew: self.look.skew,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, pki_types::UnixTime};

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn away(why: &str) -> Look {
        Look { found: Err(Trouble::Away(why.to_owned())), skew: None }
    }

    fn refused(certificate: &[u8], error: CertificateError, skew: Option<i64>) -> Look {
        let refusal = Refusal::new(&certificate.to_vec().into(), &error.into(), false);
        Look { found: Err(Trouble::Refused(Box::new(refusal))), skew }
    }

    fn early(skew: Option<i64>) -> Look {
        let second = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let (time, not_before) = (second(0), second(3600));
        refused(b"a", CertificateError::NotValidYetContext { time, not_before }, skew)
    }

    #[test]
    fn an_outage_spans_all_its_causes_and_each_is_reported() {
        let unknown = |certificate| refused(certificate, CertificateError::UnknownIssuer, None);
        let fine = Look { found: Ok(()), skew: Some(1) };
        let looks = [
            (fine.clone(), 10, 10, true),
            (fine.clone(), 11, 10, false),
            (away("refused"), 12, 12, true),
            (away("no route"), 13, 12, false),
            (unknown(b"a"), 14, 12, true),
            (unknown(b"a"), 15, 12, false),
            (unknown(b"b"), 16, 12, true),
            (refused(b"b", CertificateError::BadEncoding, None), 17, 12, true),
            (fine, 18, 18, true),
        ];
        let mut state: Option<BrokerState> = None;
        for (look, now, since, expected) in looks {
            let is_news = state.as_ref().is_none_or(|state| state.differs(&look));
            state = Some(match state {
                None => BrokerState::first(look, at(now)),
                Some(state) => state.looked(look, at(now)),
            });

            let status = state.as_ref().unwrap().status(String::new(), true);
            assert_eq!(status.since, Some(distrust::date(since)), "{now}");
            assert_eq!(is_news, expected, "{now}");
        }
    }

    #[test]
    fn a_clock_difference_is_reported_if_it_may_be_the_cause() {
        let cause = |look| BrokerState::first(look, at(0)).trouble().unwrap().0;
        let expired = CertificateError::UnknownIssuer;

        let ahead = cause(early(Some(3700)));
        let behind = cause(early(Some(-31)));

        assert!(ahead.ends_with("; the broker's clock is 3700 seconds ahead of this host's"));
        assert!(behind.ends_with("; the broker's clock is 31 seconds behind this host's"));
        for other in [early(None), early(Some(30)), refused(b"a", expired, Some(3700))] {
            let cause = cause(other);
            assert!(!cause.contains("the broker's clock"), "{cause}");
        }
    }

    #[test]
    fn a_known_clock_difference_is_kept_while_the_cause_lasts() {
        let state = BrokerState::first(early(Some(90)), at(0)).looked(early(None), at(1));

        assert_eq!(state.status(String::new(), true).clock_skew, Some(90));
    }
}
