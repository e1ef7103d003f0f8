//! `--host-address`: the name and address for clients and brokers, and in the generated
//! certificate.

use std::process::Command;

use e2e::{
    installation::Installation,
    installer::{INSTALL_ON_HOST, with},
    needs::{Need, met},
    site::broker,
};
use serde_json::Value;

const HELLO: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-client version=\"2.1\"><hello>\
    <client-info><product-name>QueryBrokerClient</product-name><product-version>1.0\
    </product-version><platform>PCoIP</platform></client-info></hello></pcoip-client>";

fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect("a tool runs");
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

/// The address of the Connection Manager's listener.
fn listener(status: &Value, key: &str) -> String {
    let listens = status["roles"]["cm"]["listens"].as_array().expect("it listens");
    let texts = listens.iter().filter_map(Value::as_str);
    let mut own = texts.filter_map(|text| text.strip_prefix(key)?.strip_prefix('='));
    let address = own.next().expect("it has that listener");
    address.trim_end_matches("/tcp").to_owned()
}

/// The name and address in the Connection Manager's responses, and the targets of HTTP redirects
/// for these names.
fn said(site: &Installation, asked: &[&str]) -> (String, Vec<String>) {
    let status = site.done(&["status"]);
    let (secure, plain) = (listener(&status, "broker"), listener(&status, "http"));
    let url = format!("https://{secure}/pcoip-broker/xml");
    let words = ["-sk", "--header", "Content-Type: text/xml", "--data", HELLO, &url];
    let answer = output("curl", &words);
    let info = answer.split_once("<platform>GNU/Linux x86_64</platform>");
    let info = info.and_then(|(_, info)| info.split_once("</pcm-info>"));
    let info = info.unwrap_or_else(|| panic!("no pcm-info: {answer}")).0.to_owned();
    let lead = |host: &&str| {
        let header = format!("Host: {host}");
        let url = format!("http://{plain}/a?b");
        let answer = output("curl", &["-si", "--header", &header, &url]);
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        let port = secure.rsplit(':').next().expect("it has a port");
        location.unwrap_or("none").replace(&format!(":{port}/"), ":PORT/")
    };
    (info, asked.iter().map(lead).collect())
}

fn certificate_names(site: &Installation) -> String {
    let certificate = site.paths().certs().join("cmsg.crt");
    let path = certificate.to_str().expect("it is text");
    output("openssl", &["x509", "-in", path, "-noout", "-ext", "subjectAltName"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_address_is_what_clients_are_told_and_what_certificates_are_for() {
    if !met(&[Need::Tool("curl"), Need::Tool("openssl")]) {
        return;
    }
    let broker = broker(4172).await;
    let site = Installation::nothing();
    let url = format!("--broker-url=https://{}", broker.address);
    let flags = [url.as_str(), "--broker-cert-check=false"];
    let install = with(&INSTALL_ON_HOST, &flags);
    let both = ["--host-address=cm.example", "--host-address=192.0.2.44"];
    site.done(&[install.as_slice(), &both].concat());

    let asked = ["other.example", "192.0.2.44", "CM.example", "cm.example:80"];
    let (info, leads) = said(&site, &asked);
    assert_eq!(info, "<ip-address>192.0.2.44</ip-address><hostname>cm.example</hostname>");
    let (name, address) = ("https://cm.example:PORT/a?b", "https://192.0.2.44:PORT/a?b");
    assert_eq!(leads, [name, address, name, name]);
    let names = certificate_names(&site);
    assert!(names.contains("DNS:cm.example") && names.contains("IP Address:192.0.2.44"), "{names}");

    site.done(&["configure", "--host-address=2001:DB8::7"]);
    let (info, leads) = said(&site, &["other.example"]);
    assert!(info.starts_with("<ip-address>2001:db8::7</ip-address><hostname>"), "{info}");
    assert!(!info.contains("cm.example"), "{info}");
    assert_eq!(leads, ["https://[2001:db8::7]:PORT/a?b"]);
    assert!(certificate_names(&site).contains("IP Address:2001:DB8:0:0:0:0:0:7"));

    site.done(&["configure", "--host-address=new.example"]);
    let (info, leads) = said(&site, &["other.example", "new.example"]);
    assert_eq!(info, "<ip-address>127.0.0.1</ip-address><hostname>new.example</hostname>");
    assert_eq!(leads, ["https://new.example:PORT/a?b"; 2]);

    site.done(&["configure", "--clear-host-address"]);
    let (info, leads) = said(&site, &["other.example"]);
    assert!(info.starts_with("<ip-address>127.0.0.1</ip-address>"), "{info}");
    assert!(!info.contains("example"), "{info}");
    assert_eq!(leads, ["https://other.example:PORT/a?b"]);
    drop(site);
    broker.stop().await;
}
