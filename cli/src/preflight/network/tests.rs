use proptest::prelude::*;

use super::*;
use crate::{
    finding::Level,
    plan::tests::{BOTH, facts, wanted},
};

fn taken(network: &str, what: &str) -> Taken {
    Taken { network: network.parse().unwrap(), what: what.to_owned() }
}

fn judged(network: &str, taken: &[Taken]) -> Vec<(&'static str, String, String)> {
    let findings = judge(network.parse().unwrap(), taken);
    assert!(findings.iter().all(|finding| finding.level == Level::Error));
    findings.into_iter().map(|finding| (finding.id, finding.what, finding.cure)).collect()
}

#[test]
fn a_private_network_of_a_size_that_fits_is_good() {
    let networks = [
        "10.101.0.0/24",
        "10.0.0.0/16",
        "10.255.255.240/28",
        "172.16.0.0/24",
        "172.31.255.0/24",
        "192.168.0.0/16",
    ];
    for network in networks {
        assert_eq!(judged(network, &[taken("198.51.100.0/24", "x")]), [], "{network}");
    }
}

#[test]
fn a_network_outside_the_private_ranges_or_of_an_odd_size_is_refused() {
    let table: [(&str, &[&str]); 9] = [
        ("192.0.2.0/24", &["network.not-private"]),
        ("172.32.0.0/16", &["network.not-private"]),
        ("11.0.0.0/24", &["network.not-private"]),
        ("192.169.0.0/24", &["network.not-private"]),
        ("10.0.0.0/15", &["network.size"]),
        ("10.0.0.0/8", &["network.size"]),
        ("10.0.0.0/29", &["network.size"]),
        ("10.0.0.1/32", &["network.size"]),
        ("0.0.0.0/0", &["network.not-private", "network.size"]),
    ];
    for (network, expected) in table {
        let told = judged(network, &[]);

        assert_eq!(told.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), expected, "{network}");
        assert!(told.iter().all(|(.., cure)| cure.contains("--docker-network-cidr 10.101.0.0/")));
    }
}

#[test]
fn whom_a_network_overlaps_is_told_with_one_that_is_free() {
    let told = judged(
        "10.101.0.0/24",
        &[
            taken("10.0.0.0/9", "a route by `tun0`"),
            taken("10.101.0.53/32", "a DNS server"),
            taken("10.128.0.0/16", "the Docker network `other`"),
        ],
    );

    let what = "`--docker-network-cidr 10.101.0.0/24` overlaps 10.0.0.0/9 (a route by `tun0`), \
                10.101.0.53/32 (a DNS server)";
    let cure = "add `--docker-network-cidr 10.129.0.0/24`, which is free here";
    assert_eq!(told, [("network.overlap", what.to_owned(), cure.to_owned())]);
}

#[test]
fn where_nothing_of_that_size_is_free_nothing_is_proposed() {
    let all = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/17"].map(|one| taken(one, "x"));

    let told = judged("10.101.0.0/16", &all);

    assert_eq!(told[0].2, "add `--docker-network-cidr` with a smaller network");
    assert_eq!(free(17, &all), "192.168.128.0/17".parse().ok());
}

#[test]
fn the_network_counts_for_swarm_alone() {
    let ids = |runtime: &str| {
        let text = BOTH.replace("runtime: host", &format!("runtime: {runtime}"));
        let (wanted, _) = wanted(&text);
        let mut facts = facts(&wanted);
        facts.networks = vec![taken("10.101.0.0/24", "x")];
        check(&wanted, &facts).into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };

    assert_eq!(ids("swarm"), ["network.overlap"]);
    assert_eq!(ids("host"), [""; 0]);
}

/// Networks within the private ranges and around them.
fn networks() -> impl Strategy<Value = Vec<Taken>> {
    let starts = prop_oneof![
        Just([10, 0, 0, 0]),
        Just([10, 101, 0, 0]),
        Just([10, 128, 0, 0]),
        Just([172, 16, 0, 0]),
        Just([192, 168, 0, 0]),
    ];
    let network =
        (starts, any::<u32>(), 0..=24_u32, 0..=32_u8).prop_map(|(start, noise, wide, prefix)| {
            let address = u32::from_be_bytes(start) ^ (noise & ((1 << wide) - 1));
            let network = Ipv4Net::new(address.into(), prefix).unwrap().trunc();
            Taken { network, what: String::new() }
        });
    prop::collection::vec(network, 0..40)
}

proptest! {
    #[test]
    fn what_is_proposed_is_private_and_overlaps_nothing(
        taken in networks(),
        prefix in WIDEST..=NARROWEST,
    ) {
        if let Some(free) = free(prefix, &taken) {
            prop_assert_eq!(free.prefix_len(), prefix);
            prop_assert_eq!(judge(free, &taken), []);
        } else {
            // Networks of that size in whose every one something lies; the 16s are few enough to try.
            let all = PRIVATE.iter().flat_map(|range| range.subnets(WIDEST).unwrap());
            let mut all = all.filter(|_| prefix == WIDEST);
            prop_assert!(all.all(|one| taken.iter().any(|other| overlap(one, other.network))));
        }
    }
}
