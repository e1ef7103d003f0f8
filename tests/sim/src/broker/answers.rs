//! The responses of a broker. Each has parts that no Connection Manager knows.

use std::net::IpAddr;

use super::Target;
use crate::unknown::{ATTRIBUTE, ELEMENT, SIMULATED_BROKER};
use crate::xml::escape;

/// An answer's body, and the result-id in it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: String,
    pub(super) result: Option<&'static str>,
}

pub(super) fn hello(domain: &str) -> Answer {
    let domain = escape(domain);
    plain(&format!(
        "<hello-resp{ATTRIBUTE}><brokers-info><broker-info>\
         <product-name>{SIMULATED_BROKER}</product-name><product-version>1.0</product-version>\
         <platform>Linux</platform><locale>en_US</locale><ip-address>127.0.0.1</ip-address>\
         <hostname>localhost</hostname></broker-info>{ELEMENT}</brokers-info><caps />\
         <next-authentication><authentication-methods><method>AUTHENTICATE_VIA_PASSWORD</method>\
         </authentication-methods><domains><domain>{domain}</domain></domains>\
         </next-authentication>{ELEMENT}</hello-resp>"
    ))
}

/// Accepts a password, and asks for the second factor.
pub(super) fn second_factor() -> Answer {
    let next = "<next-authentication><authentication-methods>\
        <method>AUTHENTICATE_VIA_DIALOG</method></authentication-methods><dialog-parameters>\
        <prompt>A second factor is required</prompt><fields><field type=\"text\"><id>PASSCODE</id>\
        <label>Code:</label><text hidden=\"true\" do-not-log=\"true\" text-type=\"number\"></text>\
        </field></fields><buttons><button><id>PUSH</id><label>Push</label></button>\
        <button is-default=\"true\"><id>LOGIN</id><label>Submit</label></button></buttons>\
        </dialog-parameters></next-authentication>";
    authentication("password", "AUTH_SUCCESSFUL_AND_INCOMPLETE", next)
}

/// Reports the result of an authentication step.
pub(super) fn authenticated(method: &str, result: &'static str) -> Answer {
    authentication(method, result, "")
}

/// Lists the user's resources.
pub(super) fn resources(count: u16) -> Answer {
    let resources: String = (1..=count)
        .map(|number| {
            format!(
                "<resource><resource-name>WS {number}</resource-name>\
                 <resource-id>{number}</resource-id>\
                 <resource-type session-type=\"VDI\">DESKTOP</resource-type>\
                 <resource-state>POWERED_ON</resource-state>\
                 <protocols><protocol is-default=\"true\">PCOIP</protocol></protocols></resource>"
            )
        })
        .collect();
    with_result("get-resource-list-resp", "", "LIST_SUCCESSFUL", &resources)
}

pub(super) fn allocated(ip: IpAddr, target: &Target) -> Answer {
    let Target { hostname, port, .. } = target;
    let hostname = escape(hostname);
    let target = format!(
        "<target><ip-address>{ip}</ip-address><hostname>{hostname}</hostname>\
         <sni>pcoip-default-sni</sni><port>{port}</port></target>"
    );
    with_result("allocate-resource-resp", "", "ALLOC_SUCCESSFUL", &target)
}

pub(super) fn not_allocated() -> Answer {
    with_result("allocate-resource-resp", "", "ALLOC_FAILED_TO_ALLOCATE_BROKER", "")
}

pub(super) fn bye() -> Answer {
    plain("<bye-resp />")
}

/// Refuses a request that is out of order or has no session.
pub(super) fn error(result: &'static str) -> Answer {
    let message = format!(
        "<error-resp><result><result-id>{result}</result-id>\
         <result-str>The simulated broker refuses this</result-str></result>\
         <detected-by>BROKER</detected-by></error-resp>"
    );
    Answer { result: Some(result), ..plain(&message) }
}

fn authentication(method: &str, result: &'static str, next: &str) -> Answer {
    with_result("authenticate-resp", &format!(" method=\"{method}\""), result, next)
}

fn with_result(name: &str, attributes: &str, result: &'static str, rest: &str) -> Answer {
    let message = format!(
        "<{name}{attributes}{ATTRIBUTE}><result><result-id>{result}</result-id>\
         <result-str>Said by the simulated broker</result-str></result>{rest}{ELEMENT}</{name}>"
    );
    Answer { result: Some(result), ..plain(&message) }
}

fn plain(message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <pcoip-broker version=\"2.1\">{message}</pcoip-broker>"
    );
    Answer { body, result: None }
}
