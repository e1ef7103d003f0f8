//! Properties of all inputs, one function for each codec or rule. The fuzzer calls them with
//! generated inputs, the replay test with the committed ones. A violated property panics.

pub mod admission;
pub mod agent;
pub mod broker_request;
pub mod broker_response;
pub mod bundle;
pub mod chunks;
pub mod claims;
pub mod conf_file;
pub mod control;
pub mod cookie;
pub mod gateway_journal;
mod input;
pub mod peers;
pub mod redaction;
pub mod routes;
pub mod sessions_journal;
pub mod socket;
pub mod tag_search;
mod tree;
pub mod values;
pub mod xml;

/// Checks one input, and panics if a property is violated.
pub type Target = fn(&[u8]);

/// Every target by the name of its binary and of its folder of inputs.
pub const ALL: [(&str, Target); 19] = [
    ("admission", admission::run),
    ("agent", agent::run),
    ("broker_request", broker_request::run),
    ("broker_response", broker_response::run),
    ("bundle", bundle::run),
    ("chunks", chunks::run),
    ("claims", claims::run),
    ("conf_file", conf_file::run),
    ("control", control::run),
    ("cookie", cookie::run),
    ("gateway_journal", gateway_journal::run),
    ("peers", peers::run),
    ("redaction", redaction::run),
    ("routes", routes::run),
    ("sessions_journal", sessions_journal::run),
    ("socket", socket::run),
    ("tag_search", tag_search::run),
    ("values", values::run),
    ("xml", xml::run),
];
