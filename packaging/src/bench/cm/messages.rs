//! The documents of a log-on with a second factor, which the broker and agents answer without
//! looking at more than their names.

use std::net::{Ipv4Addr, SocketAddr};

/// The requests of a log-on, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Hello,
    Password,
    SecondFactor,
    List,
    Allocate,
    Bye,
}

impl Step {
    pub(super) const ALL: [Self; 6] =
        [Self::Hello, Self::Password, Self::SecondFactor, Self::List, Self::Allocate, Self::Bye];

    /// The request of a client.
    pub(super) fn request(self) -> String {
        let message = match self {
            Self::Hello => HELLO,
            Self::Password => {
                "<authenticate method=\"password\"><username>amelia</username>\
                 <password>correct horse</password><domain>example.com</domain></authenticate>"
            }
            Self::SecondFactor => {
                "<authenticate method=\"dialog\"><fields><field><id>PASSCODE</id>\
                 <text do-not-log=\"true\">123456</text></field></fields>\
                 <button-id>LOGIN</button-id></authenticate>"
            }
            Self::List => {
                "<get-resource-list><protocols><protocol>PCOIP</protocol></protocols>\
                 <resource-types><resource-type>DESKTOP</resource-type></resource-types>\
                 </get-resource-list>"
            }
            Self::Allocate => {
                "<allocate-resource><resource-id>1</resource-id><protocol>PCOIP</protocol>\
                 <client-info><time-zone-windows>Eastern Standard Time</time-zone-windows>\
                 <ip-address>127.0.0.1</ip-address><mac-address>02:00:00:00:00:01</mac-address>\
                 </client-info></allocate-resource>"
            }
            Self::Bye => "<bye />",
        };
        format!("{XML}<pcoip-client version=\"2.1\">{message}</pcoip-client>")
    }

    /// What the answer must contain.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Hello => "<hello-resp>",
            Self::Password => "AUTH_SUCCESSFUL_AND_INCOMPLETE",
            Self::SecondFactor => "AUTH_SUCCESSFUL_AND_COMPLETE",
            Self::List => "LIST_SUCCESSFUL",
            Self::Allocate => "ALLOC_SUCCESSFUL",
            Self::Bye => "<bye-resp",
        }
    }
}

/// The broker's answer, with an agent for a resource.
pub(super) fn broker(request: &str, agent: Ipv4Addr) -> Option<String> {
    let table = [
        ("<hello", HELLO_ANSWER),
        ("method=\"password\"", INCOMPLETE),
        ("<authenticate", COMPLETE),
        ("<get-resource-list", RESOURCES),
        ("<bye", "<bye-resp />"),
    ];
    let answer = match table.iter().find(|(name, _)| request.contains(name)) {
        Some((_, answer)) => (*answer).to_owned(),
        None if request.contains("<allocate-resource") => format!(
            "<allocate-resource-resp><result><result-id>ALLOC_SUCCESSFUL</result-id>\
             <result-str>Success</result-str></result><target><ip-address>{agent}</ip-address>\
             <hostname>{agent}</hostname><sni>pcoip-default-sni</sni><port>4172</port></target>\
             </allocate-resource-resp>"
        ),
        None => return None,
    };
    Some(format!("{XML}<pcoip-broker version=\"2.1\">{answer}</pcoip-broker>"))
}

/// An agent's answer to `launch-session`, with a tag of its own for each session.
pub(super) fn agent(own: SocketAddr, number: u64) -> String {
    format!(
        "{XML}<pcoip-agent version=\"1.0\"><launch-session-resp><result-id>SUCCESSFUL</result-id>\
         <session-info><ip-address>{}</ip-address><sni>agent</sni><port>4172</port>\
         <session-tag>SCS1{number:092}</session-tag><session-id>{number}</session-id>\
         </session-info></launch-session-resp></pcoip-agent>",
        own.ip()
    )
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

const HELLO: &str = "<hello><client-info><product-name>Client</product-name>\
    <product-version>1.0</product-version><platform>Linux</platform><locale>en_US</locale>\
    <hostname>client</hostname><serial-number>02:00:00:00:00:01</serial-number>\
    <device-name>device</device-name><pcoip-unique-id>02:00:00:00:00:01</pcoip-unique-id>\
    </client-info><caps><cap>CAP_DISCLAIMER_AUTHENTICATION</cap><cap>CAP_NO_AUTHENTICATION</cap>\
    <cap>CAP_DIALOG_AUTHENTICATION</cap><cap>CAP_ALTERNATE_PROVISIONING</cap></caps>\
    <server-address><hostname>localhost</hostname></server-address><client-to-broker-variables>\
    <variable><name>launcher-session-id</name><value /></variable></client-to-broker-variables>\
    </hello>";

const HELLO_ANSWER: &str = "<hello-resp><brokers-info><broker-info>\
    <product-name>Broker</product-name><product-version>1.0</product-version>\
    <platform>Linux</platform><locale>en_US</locale><ip-address>127.0.0.1</ip-address>\
    <hostname>localhost</hostname></broker-info></brokers-info><caps /><next-authentication>\
    <authentication-methods><method>AUTHENTICATE_VIA_PASSWORD</method></authentication-methods>\
    <domains><domain>example.com</domain></domains></next-authentication></hello-resp>";

const INCOMPLETE: &str = "<authenticate-resp method=\"password\"><result>\
    <result-id>AUTH_SUCCESSFUL_AND_INCOMPLETE</result-id><result-str>Continue</result-str></result>\
    <next-authentication><authentication-methods><method>AUTHENTICATE_VIA_DIALOG</method>\
    </authentication-methods><dialog-parameters><prompt>A second factor is required</prompt>\
    <fields><field type=\"text\"><id>PASSCODE</id><label>Code:</label>\
    <text hidden=\"true\" do-not-log=\"true\" text-type=\"number\"></text></field></fields>\
    <buttons><button is-default=\"true\"><id>LOGIN</id><label>Submit</label></button></buttons>\
    </dialog-parameters></next-authentication></authenticate-resp>";

const COMPLETE: &str = "<authenticate-resp method=\"dialog\"><result>\
    <result-id>AUTH_SUCCESSFUL_AND_COMPLETE</result-id><result-str>Success</result-str></result>\
    </authenticate-resp>";

const RESOURCES: &str = "<get-resource-list-resp><result><result-id>LIST_SUCCESSFUL</result-id>\
    <result-str>Success</result-str></result><resource><resource-name>Desktop</resource-name>\
    <resource-id>1</resource-id><resource-type session-type=\"VDI\">DESKTOP</resource-type>\
    <resource-state>POWERED_ON</resource-state><protocols>\
    <protocol is-default=\"true\">PCOIP</protocol></protocols></resource></get-resource-list-resp>";
