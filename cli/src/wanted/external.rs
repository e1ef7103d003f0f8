//! Public addresses of gateways: each is one that clients can connect to.

use std::net::IpAddr;

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
