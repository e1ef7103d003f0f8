//! The requests of a client. All but the last have parts that no Connection Manager knows.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::answers::Dialog;
use crate::credentials::Credentials;
use crate::unknown::{ATTRIBUTE, ELEMENT, SIMULATED_CLIENT};
use crate::xml::escape;

pub(super) fn hello(connected_to: &str) -> String {
    let server = escape(connected_to);
    document(&format!(
        "<hello{ATTRIBUTE}><client-info><product-name>{SIMULATED_CLIENT}</product-name>\
         <product-version>1.0</product-version><platform>Linux</platform><locale>en_US</locale>\
         <hostname>simulated-client</hostname><serial-number>{MAC}</serial-number>\
         <device-name>simulated-device</device-name><pcoip-unique-id>{MAC}</pcoip-unique-id>\
         {ELEMENT}</client-info><caps><cap>CAP_DISCLAIMER_AUTHENTICATION</cap>\
         <cap>CAP_NO_AUTHENTICATION</cap><cap>CAP_DIALOG_AUTHENTICATION</cap>\
         <cap>CAP_ALTERNATE_PROVISIONING</cap></caps>\
         <server-address><hostname>{server}</hostname></server-address>\
         <client-to-broker-variables><variable><name>launcher-session-id</name><value /></variable>\
         <variable><name>launcher-data</name><value /></variable></client-to-broker-variables>\
         {ELEMENT}</hello>"
    ))
}

/// Sends name and password.
pub(super) fn password(credentials: &Credentials) -> String {
    let user = escape(&credentials.user);
    let password = escape(credentials.password.expose_secret());
    let domain = escape(&credentials.domain);
    document(&format!(
        "<authenticate method=\"password\"{ATTRIBUTE}><username>{user}</username>\
         <password>{password}</password><domain>{domain}</domain>{ELEMENT}</authenticate>"
    ))
}

/// Fills in a dialog.
pub(super) fn dialog(dialog: &Dialog, passcode: &SecretString) -> String {
    let (field, button) = (escape(&dialog.field), escape(&dialog.button));
    let passcode = escape(passcode.expose_secret());
    document(&format!(
        "<authenticate method=\"dialog\"{ATTRIBUTE}><fields><field><id>{field}</id>\
         <text do-not-log=\"true\">{passcode}</text></field></fields>\
         <button-id>{button}</button-id>{ELEMENT}</authenticate>"
    ))
}

/// Asks for the resources.
pub(super) fn resources() -> String {
    document(&format!(
        "<get-resource-list{ATTRIBUTE}><protocols><protocol>PCOIP</protocol></protocols>\
         <resource-types><resource-type>DESKTOP</resource-type></resource-types>{ELEMENT}\
         </get-resource-list>"
    ))
}

/// Asks for one resource.
pub(super) fn allocate(resource: &str, own_address: IpAddr) -> String {
    let resource = escape(resource);
    document(&format!(
        "<allocate-resource{ATTRIBUTE}><resource-id>{resource}</resource-id>\
         <protocol>PCOIP</protocol><client-info>\
         <time-zone-windows>Eastern Standard Time</time-zone-windows>\
         <ip-address>{own_address}</ip-address><mac-address>{MAC}</mac-address></client-info>\
         {ELEMENT}</allocate-resource>"
    ))
}

pub(super) fn bye() -> String {
    document("<bye />")
}

fn document(message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <pcoip-client version=\"2.1\">{message}</pcoip-client>"
    )
}

const MAC: &str = "02:00:00:00:00:01";
