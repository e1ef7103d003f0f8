//! What to do about a broker or a gateway that a running Connection Manager cannot use.

use std::path::Path;

use cmsg_config::{
    distrust::Problem,
    socket::{BrokerStatus, LastRefusal, RefusedCertificate},
};

use super::{CHANGED, UNTRUSTED};
use crate::{finding::Finding, host::rejected::Rejection, installation::Runtime};

const CLOCKS: &str = "compare the clocks of both hosts (`chronyc tracking`)";

/// The finding of a broker that is not usable; `words` name the installation in a command.
pub(crate) fn finding(broker: &BrokerStatus, words: &str) -> Option<Finding> {
    let reason = broker.reason.as_ref()?;
    let since = broker.since.as_deref().unwrap_or("the start");
    let what = format!("users have not been able to log on since {since}: {reason}");
    let (id, cure) = match &broker.refused {
        None => (
            "broker.unreachable",
            "check that the broker is running and that no firewall blocks it".to_owned(),
        ),
        Some(refused) if refused.problem == Problem::NotPinned => (CHANGED, pin(refused, words)),
        Some(refused) => (UNTRUSTED, cure(refused, words)),
    };
    Some(Finding::warning(id, what, cure))
}

/// The finding of a gateway that refused the last session.
pub(crate) fn refusal((gateway, refusal): &(String, LastRefusal)) -> Finding {
    let LastRefusal { at, reason } = refusal;
    let what = format!("the gateway {gateway} refused the last session, at {at}: {reason}");
    // Its own words, and those of gateways that are not ours.
    let is_clock = ["clock", "expired", "not valid yet"].iter().any(|word| reason.contains(word));
    let cure = if is_clock { CLOCKS } else { "check the gateway's log" };
    Finding::warning("gateway.refuses", what, cure)
}

/// The findings of a role that has rejected its configuration.
pub(crate) fn rejected(rejection: &Rejection, conf: &Path, runtime: Runtime) -> Vec<Finding> {
    invalid(&rejection.problems, conf, runtime)
}

/// The findings of a configuration that a role would reject.
pub(crate) fn invalid(problems: &[String], conf: &Path, runtime: Runtime) -> Vec<Finding> {
    let cure = match runtime {
        Runtime::Swarm => "correct it; Docker restarts the service",
        Runtime::Host => "correct it, then restart the service: `pcoip-cmsg-setup install`",
    };
    let what = |problem: &String| format!("`{}`: {problem}", conf.display());
    problems
        .iter()
        .map(what)
        .map(|what| Finding::error("configuration.invalid", what, cure))
        .collect()
}

fn cure(refused: &RefusedCertificate, words: &str) -> String {
    match refused.problem {
        Problem::Expired => format!("renew the broker's certificate, or {CLOCKS}"),
        Problem::NotYetValid => format!("{CLOCKS}, or have the broker's certificate replaced"),
        Problem::OtherName => format!(
            "set `--broker-url` to a name in the certificate, or have the broker's certificate \
             replaced by one for its name; otherwise {}",
            pin(refused, words)
        ),
        Problem::UnknownAuthority => format!(
            "add the certificates of its authority with `--ca-cert FILE`, or {}",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(problem: Problem) -> BrokerStatus {
        let refused = RefusedCertificate {
            problem,
            certificate: "sha256:c".to_owned(),
            key: Some("sha256:k".to_owned()),
            names: Vec::new(),
        };
        BrokerStatus {
            reason: Some("the broker presents …".to_owned()),
            since: Some("2026-11-30T20:00:00Z".to_owned()),
            refused: Some(refused),
            ..BrokerStatus::default()
        }
    }

    #[test]
    fn each_problem_has_its_fix() {
        let table = [
            (Problem::NotPinned, "broker.key-changed", "compare the fingerprints", true),
            (Problem::UnknownAuthority, "broker.untrusted", "add the certificates of its", true),
            (Problem::OtherName, "broker.untrusted", "set `--broker-url` to a name", true),
            (Problem::Other, "broker.untrusted", "have the broker's certificate replaced", true),
            (Problem::Expired, "broker.untrusted", "renew the broker's certificate", false),
            (Problem::NotYetValid, "broker.untrusted", "compare the clocks", false),
        ];
        for (problem, id, cure, pins) in table {
            let finding = finding(&refused(problem), " --root /r").unwrap();

            assert_eq!(finding.id, id);
            let start = "users have not been able to log on since 2026-11-30T20:00:00Z: the broker presents";
            assert!(finding.what.starts_with(start), "{}", finding.what);
            assert!(finding.cure.starts_with(cure), "{}", finding.cure);
            let pin = "`pcoip-cmsg-setup configure --root /r --broker-pin sha256:k`";
            assert_eq!(finding.cure.contains(pin), pins, "{}", finding.cure);
        }
    }

    #[test]
    fn a_refused_session_is_told_with_the_clocks_where_they_are_the_cause() {
        let table = [
            ("it refused: the token has expired: it was signed 120 seconds ago", CLOCKS),
            ("it refused: too many sessions", "check the gateway's log"),
        ];
        for (reason, cure) in table {
            let at = "2026-11-30T20:00:00Z".to_owned();
            let refusal = LastRefusal { at, reason: reason.to_owned() };

            let finding = super::refusal(&("203.0.113.7".to_owned(), refusal));

            assert!(finding.what.contains(reason), "{}", finding.what);
            assert_eq!(finding.cure, cure);
        }
    }
}
