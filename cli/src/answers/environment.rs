//! Settings in the environment: a variable each, and those that look like one and are none.

use std::collections::BTreeMap;

use cmsg_config::socket::DEPLOYMENT;

use crate::{
    args::settings::{Kind, Layer, PREFIX, Setting},
    finding::Finding,
};

/// The environment, as far as it is text.
pub(super) type Variables = BTreeMap<String, String>;

/// As many letters of a name may be wrong, missing or in each other's place.
const MOST_SLIPS: usize = 2;

/// Reads it; values of a list are separated by commas.
pub(super) fn read(variables: &Variables) -> Layer {
    let value = |setting: &Setting| {
        let text = variables.get(&setting.variable())?;
        let texts = match setting.kind() {
            Kind::List => text.split(',').map(|value| value.trim().to_owned()).collect(),
            Kind::Secret => vec![text.clone()],
            _ => vec![text.trim().to_owned()],
        };
        Some((*setting, texts))
    };
    Setting::ALL.iter().filter_map(value).collect()
}

/// Tells which variables look like a setting's and are none. Their values may be passwords, and are
/// not told.
pub(super) fn misspelt(variables: &Variables) -> Vec<Finding> {
    let known: Vec<String> = Setting::ALL.iter().map(|setting| setting.variable()).collect();
    let is_read = |name: &String| known.contains(name) || name == DEPLOYMENT;
    let others = variables.keys().filter(|name| !is_read(name));
    others.filter_map(|name| finding(name, nearest(name, &known))).collect()
}

fn finding(name: &str, nearest: Option<&String>) -> Option<Finding> {
    let cure = match nearest {
        Some(nearest) => format!("use `{nearest}` instead"),
        None if name.starts_with(PREFIX) => {
            format!(
                "unset it, or use `{PREFIX}` followed by the flag's name in capitals, with `_` for `-`"
            )
        }
        None => return None,
    };
    let what = format!(
        "the environment variable `{}` is not a setting and is ignored",
        name.escape_debug()
    );
    Some(Finding::warning("settings.environment", what, cure))
}

/// The name that was meant, if it is as near as a slip of the hand.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let slips = |known: &'a String| (strsim::osa_distance(&name, known), known);
    // Longer ones are no slip, and take their time to compare.
    let likely = known.iter().filter(|known| known.len().abs_diff(name.len()) <= MOST_SLIPS);
    let near = likely.map(slips).filter(|(slips, _)| *slips <= MOST_SLIPS);
    near.min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<const N: usize>(pairs: [(&str, &str); N]) -> Variables {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn the_environment_separates_lists_by_commas() {
        let layer = read(&variables([
            ("PCOIP_CMSG_EXTERNAL_SG_IP", "192.0.2.1, 192.0.2.2"),
            ("PCOIP_CMSG_BROKER_URL", "https://b"),
            ("PCOIP_CMSG_UNKNOWN", "x"),
        ]));

        assert_eq!(layer[&Setting::ExternalSgIp], ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(layer[&Setting::BrokerUrl], ["https://b"]);
        assert_eq!(layer.len(), 2);
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_one_that_was_meant() {
        let table = [
            ("PCOIP_CMSG_BROKER_ULR", "`PCOIP_CMSG_BROKER_URL`"),
            ("PCOIP_CMGS_BROKER_URL", "`PCOIP_CMSG_BROKER_URL`"),
            ("pcoip_cmsg_broker_url", "`PCOIP_CMSG_BROKER_URL`"),
            ("PCOIP_CMSG_SSL-KEY", "`PCOIP_CMSG_SSL_KEY`"),
            ("PCOIP_CMSG_SSO_ENROLMENT_PASSWORD", "`PCOIP_CMSG_SSO_ENROLLMENT_PASSWORD`"),
        ];
        for (name, meant) in table {
            let told = misspelt(&variables([(name, "hunter2")]));

            let what = format!("the environment variable `{name}` is not a setting and is ignored");
            let cure = format!("use {meant} instead");
            assert_eq!(told, [Finding::warning("settings.environment", what, cure)]);
        }
    }

    #[test]
    fn one_that_is_like_no_other_is_told_alone() {
        let told = misspelt(&variables([("PCOIP_CMSG_\u{1b}[31mUNKNOWN", "x")]));

        let [finding] = &told[..] else { panic!("{told:?}") };
        assert!(finding.what.contains("`PCOIP_CMSG_\\u{1b}[31mUNKNOWN`"), "{finding:?}");
        assert!(
            finding.cure.starts_with("unset it, or use `PCOIP_CMSG_` followed by "),
            "{finding:?}"
        );
    }

    #[test]
    fn settings_and_what_is_not_ours_are_no_slips() {
        let told = misspelt(&variables([
            ("PCOIP_CMSG_BROKER_URL", "https://b"),
            ("PCOIP_CMSG_DEPLOYMENT", "d"),
            ("PCOIP_VIRTUAL", "1"),
            ("BROKER_URL", "https://b"),
            ("PATH", "/bin"),
        ]));

        assert_eq!(told, []);
    }
}
