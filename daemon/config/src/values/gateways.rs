//! Values for gateways on other hosts. Several gateways may share a public address.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use super::{BadValue, HostPort, Pin, bad};

/// A value for the gateway with a public address: `IP=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForGateway<T> {
    /// Public address of the gateway.
    pub gateway: IpAddr,
    /// The value after the equals sign.
    pub value: T,
}

impl<T: FromStr> FromStr for ForGateway<T> {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let parsed = text.split_once('=').and_then(|(gateway, value)| {
            Some(Self { gateway: gateway.trim().parse().ok()?, value: value.trim().parse().ok()? })
        });
        parsed.map_or_else(|| bad(text, "`IP=VALUE` with a gateway's public address"), Ok)
    }
}

impl<T: fmt::Display> fmt::Display for ForGateway<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.gateway, self.value)
    }
}

impl ForGateway<HostPort> {
    /// The control addresses of the gateways with this public address, each once. By default, it is
    /// port 443 of the public address.
    #[must_use]
    pub fn controls_of(gateway: IpAddr, all: &[Self]) -> Vec<HostPort> {
        let mut controls: Vec<HostPort> = Vec::new();
        for control in all.iter().filter(|control| control.gateway == gateway) {
            if !controls.contains(&control.value) {
                controls.push(control.value.clone());
            }
        }
        if controls.is_empty() {
            let usual = SocketAddr::new(gateway, 443).to_string();
            controls.push(usual.parse().expect("an address with a port is a `HostPort`"));
        }
        controls
    }
}

/// The pin of a gateway: `IP=sha256:…` with its public address, or `HOST:PORT=sha256:…` with its
/// control address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPin {
    /// The gateway.
    pub gateway: GatewayName,
    /// SHA-256 of its certificate or public key.
    pub pin: Pin,
}

/// A gateway, or all gateways with a public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayName {
    /// Public address.
    Address(IpAddr),
    /// Control address, which only one gateway has.
    Control(HostPort),
}

impl GatewayPin {
    /// The pin of a gateway. A pin for its control address takes precedence over one for its public
    /// address.
    #[must_use]
    pub fn of(address: IpAddr, control: &HostPort, all: &[Self]) -> Option<Pin> {
        let of_control =
            |name: &GatewayName| matches!(name, GatewayName::Control(it) if it == control);
        let of_address =
            |name: &GatewayName| matches!(name, GatewayName::Address(it) if *it == address);
        let found = all.iter().find(|pin| of_control(&pin.gateway));
        found.or_else(|| all.iter().find(|pin| of_address(&pin.gateway))).map(|found| found.pin)
    }
}

impl FromStr for GatewayName {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match (text.parse(), text.parse()) {
            (Ok(address), _) => Ok(Self::Address(address)),
            (_, Ok(control)) => Ok(Self::Control(control)),
            _ => bad(text, "`IP` or `HOST:PORT` of a gateway"),
        }
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Control(control) => control.fmt(f),
        }
    }
}

impl FromStr for GatewayPin {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let parsed = text.split_once('=').and_then(|(gateway, pin)| {
            Some(Self { gateway: gateway.trim().parse().ok()?, pin: pin.trim().parse().ok()? })
        });
        let wanted = "`IP=sha256:HEX` with a gateway's public address, or `HOST:PORT=sha256:HEX` \
                      with its control address";
        parsed.map_or_else(|| bad(text, wanted), Ok)
    }
}

impl fmt::Display for GatewayPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.gateway, self.pin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(gateway: &str, byte: u8) -> GatewayPin {
        format!("{gateway}={}", Pin([byte; 32])).parse().unwrap()
    }

    #[test]
    fn a_pin_names_a_public_or_a_control_address() {
        let table = [
            ("192.0.2.1", GatewayName::Address("192.0.2.1".parse().unwrap())),
            ("2001:db8::1", GatewayName::Address("2001:db8::1".parse().unwrap())),
            ("192.0.2.1:443", GatewayName::Control("192.0.2.1:443".parse().unwrap())),
            ("[2001:db8::1]:443", GatewayName::Control("[2001:db8::1]:443".parse().unwrap())),
            ("sg1.lan:8443", GatewayName::Control("sg1.lan:8443".parse().unwrap())),
        ];
        for (text, gateway) in table {
            assert_eq!(pin(text, 7), GatewayPin { gateway, pin: Pin([7; 32]) });
            assert_eq!(pin(text, 7).to_string(), format!("{text}={}", Pin([7; 32])));
        }
        for text in ["sg1.lan", "sg1.lan:0", "", "[2001:db8::1]"] {
            assert!(format!("{text}={}", Pin([7; 32])).parse::<GatewayPin>().is_err(), "{text}");
        }
        assert!("sg1.lan:443=sha256:00".parse::<GatewayPin>().is_err());
    }

    #[test]
    fn a_pin_for_the_control_address_takes_precedence() {
        let (shared, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let [one, two] = ["sg1:443", "sg2:443"].map(|control| control.parse().unwrap());
        let pins = [pin("192.0.2.1", 1), pin("sg2:443", 2)];

        assert_eq!(GatewayPin::of(shared, &one, &pins), Some(Pin([1; 32])));
        assert_eq!(GatewayPin::of(shared, &two, &pins), Some(Pin([2; 32])));
        assert_eq!(GatewayPin::of(other, &two, &pins), Some(Pin([2; 32])));
        assert_eq!(GatewayPin::of(other, &one, &pins), None);
    }

    #[test]
    fn a_public_address_may_have_several_control_addresses() {
        let all =
            ["192.0.2.1=sg1:443", "192.0.2.2=sg3:443", "192.0.2.1=sg2:443", "192.0.2.1=sg1:443"];
        let all = all.map(|text| text.parse().unwrap());
        let controls = |gateway: &str| {
            let found = ForGateway::controls_of(gateway.parse().unwrap(), &all);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };

        assert_eq!(controls("192.0.2.1"), ["sg1:443", "sg2:443"]);
        assert_eq!(controls("192.0.2.2"), ["sg3:443"]);
        assert_eq!(controls("2001:db8::1"), ["[2001:db8::1]:443"]);
    }
}
