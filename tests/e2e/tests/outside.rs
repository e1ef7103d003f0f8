//! Both services, tested with third-party tools.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
};

use e2e::{
    needs::{Need, met},
    site::Site,
};
use pcoip_sim::layout::Layout;

/// Runs a tool, and returns whether it succeeded and its whole output.
async fn output(tool: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(tool);
    command.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("a tool runs").expect("a tool starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).replace('\r', ""))
}

async fn curl(arguments: &[&str]) -> String {
    let fixed = ["--silent", "--show-error", "--insecure", "--include", "--max-time", "20"];
    output("curl", &[&fixed, arguments].concat()).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_what_the_guide_says() {
    if !met(&[Need::Tool("curl")]) {
        return;
    }
    let site = Site::start(Layout::Little).await;
    let url = format!("https://{}/health", site.connection_manager);

    // The first check of the broker may not be finished when the service starts.
    let healthy = curl(&["--retry", "10", "--retry-all-errors", "--fail", &url]).await;
    site.broker.stop().await;
    let mut sick = String::new();
    for _ in 0..50 {
        sick = curl(&[&url]).await;
        if sick.starts_with("HTTP/1.1 500 ") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }

    assert!(healthy.contains("HTTP/1.1 200 OK\n"), "{healthy}");
    assert!(healthy.ends_with(r#"{"code":200,"status":"success"}"#), "{healthy}");
    let body = r#"{"code":500,"status":"Error","reason":"Cannot communicate with broker"}"#;
    assert!(sick.starts_with("HTTP/1.1 500 ") && sick.ends_with(body), "{sick}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_gets_the_answer_that_clients_can_read() {
    if !met(&[Need::Tool("curl")]) {
        return;
    }
    let site = Site::start(Layout::Little).await;
    let url = format!("https://{}/pcoip-broker/xml", site.connection_manager);
    let hello = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-client version=\"2.1\"><hello>\
                 <client-info><product-name>QueryBrokerClient</product-name><product-version>1.0\
                 </product-version><platform>PCoIP</platform></client-info></hello></pcoip-client>";

    let answer = curl(&["--header", "Content-Type: text/xml", "--data", hello, &url]).await;

    assert!(answer.starts_with("HTTP/1.1 200 OK\n"), "{answer}");
    assert!(answer.contains("\nTransfer-Encoding: chunked\n"), "{answer}");
    assert!(!answer.contains("Content-Length"), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: JSESSIONID="));
    let (id, flags) = cookie.and_then(|cookie| cookie.split_once(';')).expect("there is a cookie");
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert!(flags.contains("Secure") && flags.contains("HttpOnly"), "{flags}");
    assert!(answer.contains("</brokers-info><pcm-info>"), "{answer}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_broker_protocol_is_refused() {
    if !met(&[Need::Tool("curl")]) {
        return;
    }
    let site = Site::start(Layout::Little).await;
    let base = format!("https://{}", site.connection_manager);
    let broker = format!("{base}/pcoip-broker/xml");
    let nothing = format!("{base}/");
    let table: [(&[&str], &str); 4] = [
        (&[&broker], "HTTP/1.1 405 "),
        (&[&nothing], "HTTP/1.1 404 "),
        (&["--data", "<a", &broker], "HTTP/1.1 400 "),
        (&["--data", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", &broker], "HTTP/1.1 400 "),
    ];

    for (arguments, status) in table {
        let xml = ["--header", "Content-Type: text/xml"];
        let answer = curl(&[&xml, arguments].concat()).await;
        assert!(answer.starts_with(status), "{arguments:?}: {answer}");
    }
    site.stop().await;
}

async fn handshake(address: SocketAddr, arguments: &[&str]) -> (bool, String) {
    let address = address.to_string();
    let fixed = ["s_client", "-connect", &address, "-servername", "pcoip-default-sg-sni"];
    output("openssl", &[&fixed, arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ports_speak_tls_1_2_and_1_3_with_forward_secrecy_only() {
    if !met(&[Need::Tool("openssl")]) {
        return;
    }
    let site = Site::start(Layout::Little).await;

    for address in [site.connection_manager, site.gateway] {
        for (version, named) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            let (done, told) = handshake(address, &[version]).await;
            assert!(done && told.contains(&format!("New, {named}, Cipher is ")), "{told}");
            assert!(told.contains("subject=CN = "), "{told}");
        }
        let old: [&[&str]; 4] = [
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384"],
            &["-tls1_2", "-cipher", "AES128-SHA"],
        ];
        for arguments in old {
            let (done, told) = handshake(address, arguments).await;
            assert!(!done && told.contains("Cipher is (NONE)"), "{arguments:?}: {told}");
        }
    }
    site.stop().await;
}
