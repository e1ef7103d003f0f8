//! Public addresses of gateways: each is one that clients can connect to.

use std::{fmt::Display, net::IpAddr};

use cmsg_config::values::{ForGateway, GatewayName, GatewayPin, HostPort};

use super::{reader::Reader, values::Ip};
use crate::args::settings::Setting;

/// Reads the addresses that can be connected to, each once. Under another root, where somebody tries
/// things out, clients may be on the host itself.
pub(super) fn addresses(
    reader: &mut Reader<'_>,
    setting: Setting,
    id: &'static str,
    takes_loopback: bool,
) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for Ip(address) in reader.many(setting) {
        if addresses.contains(&address) {
            reader.refuse(
                id,
                format!("`--{setting}` contains `{address}` twice"),
                "specify it only once",
            );
            continue;
        }
        match unusable(address, takes_loopback) {
            Some(why) => {
                let what = format!("`--{setting}` contains `{address}`, which {why}");
                reader.refuse(id, what, "specify the address that clients connect to");
            }
            None => addresses.push(address),
        }
    }
    addresses
}

/// Refuses control addresses and pins of gateways that are not among these addresses.
pub(super) fn check_gateways(
    reader: &mut Reader<'_>,
    gateways: &[IpAddr],
    controls: &[ForGateway<HostPort>],
    pins: &[GatewayPin],
) {
    const ID: &str = "settings.external-sg";
    let mut refuse = |setting: Setting, name: &dyn Display, lacking: Setting, value: String| {
        let what = format!("`--{setting}` names `{name}`, which is not in `--{lacking}`");
        reader.refuse(ID, what, format!("add `--{lacking} {value}`, or omit it"));
    };
    let of_unlisted = |gateway: &IpAddr| !gateways.contains(gateway);
    for ForGateway { gateway, .. } in controls.iter().filter(|it| of_unlisted(&it.gateway)) {
        let (setting, lacking) = (Setting::ExternalSgControl, Setting::ExternalSgIp);
        refuse(setting, gateway, lacking, gateway.to_string());
    }
    let known: Vec<_> =
        gateways.iter().flat_map(|it| ForGateway::controls_of(*it, controls)).collect();
    for GatewayPin { gateway, .. } in pins {
        let (lacking, value) = match gateway {
            GatewayName::Address(address) if of_unlisted(address) => {
                (Setting::ExternalSgIp, address.to_string())
            }
            GatewayName::Control(control) if !known.contains(control) => {
                (Setting::ExternalSgControl, format!("IP={control}"))
            }
            _ => continue,
        };
        refuse(Setting::ExternalSgPin, gateway, lacking, value);
    }
}

fn unusable(address: IpAddr, takes_loopback: bool) -> Option<&'static str> {
    let plain = address.to_canonical();
    if plain.is_unspecified() {
        Some("is not a host's address")
    } else if plain.is_multicast() {
        Some("is a multicast address")
    } else if matches!(plain, IpAddr::V4(address) if address.is_broadcast()) {
        Some("is a broadcast address")
    } else if plain.is_loopback() && !takes_loopback {
        Some("is a loopback address, which no client can reach")
    } else {
        None
    }
}
