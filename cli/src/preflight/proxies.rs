//! The trust in proxies in front of the Connection Manager.

use cmsg_config::socket::Role;

use crate::{
    finding::Finding,
    host::Facts,
    installation::{
        installed::present,
        record::{Record, TRUSTED_PROXIES},
    },
    wanted::Wanted,
};

/// Reports once, for an installation of a version that believed everybody's `X-Forwarded-For`, that
/// proxies have to be named.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let manager = wanted.connection_manager.as_ref()?;
    let paths = wanted.place.paths();
    let record = Record::of(&facts.installed, &paths);
    let is_known = record.version.is_empty() || record.announced.contains(TRUSTED_PROXIES);
    let file = present(&facts.installed, &paths, Role::Cm)?;
    let is_set = file.values("TrustedProxies").next().is_some();
    if is_known || is_set || facts.back_to.is_some() || !manager.trusted_proxies.is_empty() {
        return None;
    }
    Some(Finding::warning(
        "broker.client-address",
        "`X-Forwarded-For` is now ignored unless it comes from a trusted proxy: behind a load \
         balancer, the connection broker sees the load balancer's address instead of the client's",
        "if clients connect through a load balancer or proxy that sends this header, add its \
         network with `configure --trusted-proxies IP/BITS`",
    ))
}
