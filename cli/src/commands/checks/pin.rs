//! A `--broker-pin` that cannot be read: the hint has the pin that the broker presents.

use cmsg_config::values::Pin;
use time::OffsetDateTime;

use crate::{
    answers::Answers,
    finding::Finding,
    host::broker::{self, BrokerFact},
    wanted::Wanted,
};

/// Adds the right form to the hint, and the pin if the broker answers.
pub(super) fn hint(findings: &mut [Finding], wanted: &Wanted, answers: &Answers) {
    let is_wrong = |text: &String| text.parse::<Pin>().is_err();
    if !answers.of("broker-pin").texts.iter().any(is_wrong) {
        return;
    }
    let mut cure = "write `--broker-pin sha256:HEX` with 64 hexadecimal digits".to_owned();
    if let Some(manager) = &wanted.connection_manager
        && let BrokerFact::Seen(seen) =
            broker::look(&manager.broker.0, &[], OffsetDateTime::now_utc())
    {
        cure += &format!("; the broker {} presents the key {}", manager.broker, seen.key);
    }
    let are_about_it =
        |finding: &&mut Finding| finding.is_usage() && finding.what.contains("broker-pin`");
    findings.iter_mut().filter(are_about_it).for_each(|finding| finding.cure.clone_from(&cure));
}
