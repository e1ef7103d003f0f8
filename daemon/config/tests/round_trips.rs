//! Values that are written to a configuration file can be read back, and other lines do not change.

use std::{fmt::Display, net::IpAddr, str::FromStr};

use cmsg_config::{
    ConfFile, ConnectionManager, SecurityGateway, keys,
    socket::{Connections, read_answer},
    values::{
        AbsolutePath, BrokerUrl, ConnectionLimit, ForGateway, GatewayName, GatewayPin, HostPort,
        LogLevel, Pin, Port, Seconds, Switch,
    },
};
use proptest::prelude::*;

/// Lines of a hand-edited file: entries, comments, blank lines and malformed lines.
fn line() -> impl Strategy<Value = String> {
    let known = keys::CONNECTION_MANAGER.iter().chain(keys::SECURITY_GATEWAY);
    let known: Vec<_> = known.map(|key| key.name).collect();
    prop_oneof![
        (prop::sample::select(known), "[ -~é]{0,12}")
            .prop_map(|(key, value)| format!("{key}={value}")),
        "[A-Za-z]{1,8} ?= ?[ -~é]{0,12}",
        "[#;][ -~é]{0,12}",
        "\\PC{0,16}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    (prop::collection::vec(line(), 0..20), prop::sample::select(vec!["\n", "\r\n"]), any::<bool>())
        .prop_map(|(lines, end, marked)| {
            let mark = if marked { "\u{feff}" } else { "" };
            format!("{mark}{}", lines.join(end))
        })
}

fn survives<T>(text: &str) -> Result<(), TestCaseError>
where
    T: FromStr<Err: Display> + Display + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = text.parse::<T>() {
        prop_assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
    Ok(())
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        // A name that ends in a number would be an address or invalid.
        "([a-z0-9]{1,8}\\.){0,2}[a-z][a-z0-9]{0,7}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
    ]
}

proptest! {
    #[test]
    fn a_file_is_read_as_it_is_written(text in text()) {
        let file = ConfFile::parse(&text);

        let again = ConfFile::parse(&file.render());

        prop_assert_eq!(&again, &file);
        prop_assert_eq!(ConnectionManager::read(&again).err(), ConnectionManager::read(&file).err());
        prop_assert_eq!(SecurityGateway::read(&again).err(), SecurityGateway::read(&file).err());
    }

    #[test]
    fn setting_a_key_keeps_every_other_line(text in text(), value in "[ -~\n]{1,20}") {
        let mut file = ConfFile::parse(&text);
        let others = |file: &ConfFile| -> Vec<String> {
            let is_set = |line: &str| {
                let key = line.split_once('=').map(|(key, _)| key.trim().to_ascii_lowercase());
                key.as_deref() == Some("maxconnections")
            };
            file.render().lines().filter(|line| !is_set(line)).map(str::to_owned).collect()
        };
        let before = others(&file);

        file.set("MaxConnections", [&value]);

        prop_assert_eq!(others(&file), before);
        let set = ConfFile::parse(&file.render());
        let set: Vec<_> = set.values("maxconnections").map(|entry| entry.value.to_owned()).collect();
        prop_assert_eq!(set, [value.trim().replace('\n', " ")]);
    }

    #[test]
    fn a_broker_url_names_its_host_and_port(host in host(), port in prop::option::of(1_u16..)) {
        let text = match port {
            Some(port) => format!("https://{host}:{port}"),
            None => format!("https://{host}/"),
        };

        let BrokerUrl(broker) = text.parse().unwrap();

        prop_assert_eq!(broker.port, port.unwrap_or(443));
        prop_assert_eq!(broker.host.to_string(), host);
        prop_assert_eq!(BrokerUrl(broker.clone()).to_string().parse(), Ok(BrokerUrl(broker)));
    }

    #[test]
    fn values_for_a_gateway_are_read_as_they_are_written(
        gateway: IpAddr,
        host in host(),
        port in 1_u16..,
        pin: [u8; 32],
    ) {
        let value: HostPort = format!("{host}:{port}").parse().unwrap();
        let control = ForGateway { gateway, value };
        let [pinned, pinned_there] =
            [GatewayName::Address(gateway), GatewayName::Control(control.value.clone())]
                .map(|gateway| GatewayPin { gateway, pin: Pin(pin) });

        prop_assert_eq!(control.to_string().parse(), Ok(control));
        prop_assert_eq!(pinned.to_string().parse(), Ok(pinned));
        prop_assert_eq!(pinned_there.to_string().parse(), Ok(pinned_there));
    }

    #[test]
    fn every_text_that_is_a_value_prints_as_one(
        text in prop_oneof!["\\PC{0,20}", "/\\PC{0,20}", "[0-9]{1,6}", "(?i)(on|off|info|true|trace)"],
    ) {
        survives::<AbsolutePath>(&text)?;
        survives::<ConnectionLimit>(&text)?;
        survives::<LogLevel>(&text)?;
        survives::<Port>(&text)?;
        survives::<Seconds>(&text)?;
        survives::<Switch>(&text)?;
    }

    #[test]
    fn no_response_on_the_socket_causes_a_panic(
        head in "[ -~]{0,20}(\r\n[ -~]{0,20}){0,3}",
        body in "[ -~]{0,40}",
    ) {
        let read = read_answer::<Connections>(format!("{head}\r\n\r\n{body}").as_bytes());

        prop_assert!(read.is_err() || head.contains(" 200"));
    }
}
