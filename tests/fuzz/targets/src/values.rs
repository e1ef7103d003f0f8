//! Every value prints as a text that parses to the same value.

use std::{fmt::Display, str::FromStr};

use cmsg_config::{
    connection_manager::MaybeAddress,
    values::{
        AbsolutePath, BrokerUrl, ConnectionLimit, ForGateway, GatewayPin, Host, HostPort, LogLevel,
        Pin, Port, Seconds, Switch,
    },
};

/// Reads a text as every kind of value.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    survives::<AbsolutePath>(text);
    survives::<ConnectionLimit>(text);
    survives::<ForGateway<HostPort>>(text);
    survives::<GatewayPin>(text);
    survives::<Host>(text);
    survives::<LogLevel>(text);
    survives::<MaybeAddress>(text);
    survives::<Pin>(text);
    survives::<Port>(text);
    survives::<Seconds>(text);
    survives::<Switch>(text);
    if let Some(both) = survives::<HostPort>(text) {
        assert!(both.port != 0 && text.ends_with(&both.port.to_string()), "{both}");
    }
    if let Some(BrokerUrl(both)) = survives::<BrokerUrl>(text) {
        assert!(both.port != 0, "{both}");
        let authority = text[8..].split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|p| !p.ends_with(']'));
        assert_eq!(port.map_or(Ok(443), str::parse::<u16>), Ok(both.port), "{text}");
    }
}

fn survives<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + PartialEq + std::fmt::Debug,
{
    let value: T = text.parse().ok()?;
    let printed = value.to_string();
    assert!(!printed.contains(|c: char| c == '\n' && !text.contains(c)));
    assert_eq!(printed.parse().ok().as_ref(), Some(&value), "{text:?} prints as {printed:?}");
    Some(value)
}
