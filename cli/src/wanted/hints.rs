//! The right form of values that are commonly written wrongly.

use std::net::{IpAddr, Ipv4Addr};

use cmsg_config::values::{BrokerUrl, HttpsUrl, Network};
use ipnet::{Ipv4Net, ipv4_mask_to_prefix};

use crate::args::settings::Setting;

/// How a value of a setting that cannot be read is to be written.
pub(super) fn right_form(setting: Setting, text: &str) -> String {
    let flag = format!("--{setting}");
    let special = match setting {
        Setting::BrokerUrl => url(&flag, text, |url| url.parse::<BrokerUrl>().is_ok()),
        Setting::IdProviderUrl | Setting::FaUrl | Setting::SsoEnrollmentUrl => {
            url(&flag, text, |url| url.parse::<HttpsUrl>().is_ok())
        }
        Setting::AgentPort => {
            let example = setting.row().default;
            Some(format!("write a number from 1 to 65535, such as `{flag} {example}`"))
        }
        Setting::AllowedAgents | Setting::TrustedProxies => network(&flag, text),
        Setting::ExternalSgIp | Setting::ExternalPcoipIp => several(&flag, text),
        _ => None,
    };
    special.unwrap_or_else(|| format!("write `{}`", setting.usage()))
}

/// A URL with another scheme, without one, or with a port that there is not.
fn url(flag: &str, text: &str, is_right: impl Fn(&str) -> bool) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let right = format!("https://{rest}");
    if is_right(&right) {
        return Some(format!("write `{flag} {right}`"));
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':')?;
    let is_number = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let right = format!("https://{authority}");
    if is_number && is_right(&right) {
        return Some(format!("leave out the path: `{flag} {right}`"));
    }
    (is_number && is_right(&format!("https://{host}")))
        .then(|| format!("write a port from 1 to 65535: `{flag} https://{host}:PORT`"))
}

/// Several values in one.
fn several(flag: &str, text: &str) -> Option<String> {
    let parts: Vec<_> = text.split([',', ' ', ';']).filter(|part| !part.is_empty()).collect();
    if parts.len() < 2 {
        return None;
    }
    let all: Vec<_> = parts.iter().map(|part| format!("{flag} {part}")).collect();
    Some(format!("repeat the flag: `{}`", all.join(" ")))
}

fn network(flag: &str, text: &str) -> Option<String> {
    if let Some(repeated) = several(flag, text) {
        return Some(repeated);
    }
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    if has_leading_zero(address) {
        return Some("write every number of the address without leading zeros".to_owned());
    }
    let right = by_mask(address, bits).or_else(|| widest(address, bits))?;
    right.parse::<Network>().ok()?;
    Some(format!("write `{flag} {right}`"))
}

/// `10.0.0.0/255.0.0.0` by its number of bits.
fn by_mask(address: &str, mask: &str) -> Option<String> {
    let mask: Ipv4Addr = mask.parse().ok()?;
    let bits = ipv4_mask_to_prefix(mask).ok()?;
    let network = Ipv4Net::new(address.parse().ok()?, bits).ok()?;
    Some(network.trunc().to_string())
}

/// An address behind which there are too many bits, as a network of that address alone.
fn widest(address: &str, bits: &str) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.parse::<u32>().is_ok_and(|bits| bits > most).then(|| format!("{address}/{most}"))
}

fn has_leading_zero(address: &str) -> bool {
    let is_padded = |part: &str| part.len() > 1 && part.starts_with('0');
    address.split('.').count() == 4
        && address.split('.').all(|part| part.chars().all(|c| c.is_ascii_digit()))
        && address.split('.').any(is_padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_several_addresses_are_named_as_what_is_wrong() {
        let hint = right_form;

        let path = hint(Setting::BrokerUrl, "https://b.example:8443/foo?x=1");
        assert_eq!(path, "leave out the path: `--broker-url https://b.example:8443`");
        let repeated = "repeat the flag: `--external-sg-ip 10.0.0.4 --external-sg-ip 10.0.0.5`";
        assert_eq!(hint(Setting::ExternalSgIp, "10.0.0.4,10.0.0.5"), repeated);
    }

    #[test]
    fn the_hint_has_the_right_form() {
        let table = [
            (Setting::BrokerUrl, "http://broker:8443", "write `--broker-url https://broker:8443`"),
            (Setting::BrokerUrl, "broker.example", "write `--broker-url https://broker.example`"),
            (
                Setting::BrokerUrl,
                "https://broker:99999",
                "write a port from 1 to 65535: `--broker-url https://broker:PORT`",
            ),
            (Setting::BrokerUrl, "https://broker/path", "write `--broker-url URL`"),
            (
                Setting::AgentPort,
                "99999",
                "write a number from 1 to 65535, such as `--agent-port 60443`",
            ),
            (
                Setting::AllowedAgents,
                "10.0.0.0/8,10.1.0.0/16",
                "repeat the flag: `--allowed-agents 10.0.0.0/8 --allowed-agents 10.1.0.0/16`",
            ),
            (
                Setting::TrustedProxies,
                "10.9.0.5/255.255.0.0",
                "write `--trusted-proxies 10.9.0.0/16`",
            ),
            (Setting::TrustedProxies, "10.0.0.0/33", "write `--trusted-proxies 10.0.0.0/32`"),
            (
                Setting::TrustedProxies,
                "2001:db8::1/129",
                "write `--trusted-proxies 2001:db8::1/128`",
            ),
            (
                Setting::TrustedProxies,
                "010.0.0.1",
                "write every number of the address without leading zeros",
            ),
            (Setting::TrustedProxies, "desk.example", "write `--trusted-proxies IP[/BITS]`"),
            (Setting::HostAddress, "a b", "write `--host-address ADDRESS`"),
        ];
        for (setting, text, hint) in table {
            assert_eq!(right_form(setting, text), hint, "{text}");
        }
    }
}
