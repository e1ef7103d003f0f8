//! The brokers that an installation has verified or pinned. Another key of one of them is never pinned
//! without an answer, even if another broker was set in between.

use cmsg_config::{
    ConfFile,
    values::{BrokerUrl, Pin, Switch},
};
use serde::{Deserialize, Serialize};

/// More brokers than a site has; the oldest one is forgotten.
const MOST: usize = 32;

/// The brokers in `installation.json`, the latest one last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Brokers(Vec<Known>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    url: String,
    /// Those of its certificate or key.
    pins: Vec<String>,
}

/// What a configuration says of one broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BrokerTrust {
    /// Whether the configuration is about this broker; one with an unparsable URL may be.
    pub(crate) is_named: bool,
    /// Whether that broker is verified or pinned.
    pub(crate) is_checked: bool,
    pub(crate) pins: Vec<Pin>,
}

impl BrokerTrust {
    /// Reads it. Where the check of the certificate is not set, `is_checked` holds.
    pub(crate) fn read(conf: &ConfFile, broker: &BrokerUrl, is_checked: bool) -> Self {
        let mut urls = conf.values("PcoipAddress").map(|it| it.value.parse::<BrokerUrl>());
        if !urls.any(|url| url.map_or(true, |url| url == *broker)) {
            return Self::default();
        }
        let check = conf.values("BrokerCertCheck").next().map(|it| it.value.parse());
        let is_on = match check {
            Some(Ok(Switch(is_on))) => is_on,
            _ => is_checked,
        };
        let is_pinned = conf.values("BrokerCertPin").next().is_some();
        Self { is_named: true, is_checked: is_on || is_pinned, pins: pins(conf) }
    }
}

impl Brokers {
    /// The pins of a broker that was verified or pinned before; nothing for a new one.
    pub(crate) fn pins_of(&self, broker: &BrokerUrl) -> Option<Vec<Pin>> {
        let known = self.0.iter().find(|known| known.is(broker))?;
        Some(known.pins.iter().filter_map(|pin| pin.parse().ok()).collect())
    }

    /// Notes the broker of a configuration that verifies or pins it. Where the check of the certificate
    /// is not set, `is_checked` holds.
    pub(crate) fn learn(&mut self, conf: &ConfFile, is_checked: bool) {
        let Some(url) = conf.values("PcoipAddress").next() else { return };
        let Ok(broker) = url.value.parse::<BrokerUrl>() else { return };
        let standing = BrokerTrust::read(conf, &broker, is_checked);
        if !standing.is_checked {
            return;
        }
        self.0.retain(|known| !known.is(&broker));
        let pins = standing.pins.iter().map(ToString::to_string).collect();
        self.0.push(Known { url: broker.to_string(), pins });
        let forgotten = self.0.len().saturating_sub(MOST);
        self.0.drain(..forgotten);
    }
}

impl Known {
    fn is(&self, broker: &BrokerUrl) -> bool {
        self.url.parse::<BrokerUrl>().is_ok_and(|url| url == *broker)
    }
}

/// The pins of a configuration that can be parsed; the checks refuse one with others.
fn pins(conf: &ConfFile) -> Vec<Pin> {
    conf.values("BrokerCertPin").filter_map(|it| it.value.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_of_many_brokers_is_forgotten() {
        let url = |number| format!("https://b{number}.example");
        let mut brokers = Brokers::default();
        for number in 0..=MOST {
            brokers.learn(&ConfFile::parse(&format!("PcoipAddress = {}\n", url(number))), true);
        }

        let is_known = |number| brokers.pins_of(&url(number).parse().unwrap()).is_some();
        assert!(!is_known(0));
        assert!((1..=MOST).all(is_known));
    }
}
