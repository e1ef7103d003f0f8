//! What to do about a broker that a running Connection Manager cannot use.

use cmsg_config::{
    distrust::Problem,
    socket::{BrokerStatus, RefusedCertificate},
};

use crate::{finding::Finding, preflight};

/// The finding of a broker that is not usable; `words` name the installation in a command.
pub(crate) fn finding(broker: &BrokerStatus, words: &str) -> Option<Finding> {
    let reason = broker.reason.as_ref()?;
    let since = broker.since.as_deref().unwrap_or("the start");
    let what = format!("log-ons have failed since {since}: {reason}");
    let (id, cure) = match &broker.refused {
        None => (
            "broker.unreachable",
            "check that the broker runs, and the firewalls on the way".to_owned(),
        ),
        Some(refused) if refused.problem == Problem::NotPinned => {
            (preflight::CHANGED, pin(refused, words))
        }
        Some(refused) => (preflight::UNTRUSTED, cure(refused, words)),
    };
    Some(Finding::warning(id, what, cure))
}

fn cure(refused: &RefusedCertificate, words: &str) -> String {
    const CLOCKS: &str = "compare the clocks of both hosts (`chronyc tracking`)";
    match refused.problem {
        Problem::Expired => format!("renew the broker's certificate, or {CLOCKS}"),
        Problem::NotYetValid => format!("{CLOCKS}, or have the broker's certificate replaced"),
        Problem::OtherName => format!(
            "set `--broker-url` to a name of the certificate, or have the broker's certificate \
             replaced by one for its name; else {}",
            pin(refused, words)
        ),
        Problem::UnknownAuthority => format!(
            "give the certificates of its authority with `--ca-cert FILE`, or {}",
            pin(refused, words)
        ),
        Problem::NotPinned | Problem::Other => {
            format!("have the broker's certificate replaced, or {}", pin(refused, words))
        }
    }
}

/// How to trust the certificate as it is.
fn pin(refused: &RefusedCertificate, words: &str) -> String {
    let pin = refused.key.as_ref().unwrap_or(&refused.certificate);
    format!(
        "compare the fingerprints with the broker's own, and if they are the same, run \
         `pcoip-cmsg-setup configure{words} --broker-pin {pin}`"
    )
}
