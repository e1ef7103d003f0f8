//! The clock difference to the broker, for which only the holder of the refused certificate is
//! asked.

use rustls::{CertificateError, pki_types::CertificateDer};

use super::{
    super::broker::Broker,
    world::{certificate, config, somebody},
    *,
};
use crate::{
    reload::Files,
    tls::{self, Refusal},
};

#[tokio::test]
async fn only_the_holder_of_the_refused_certificate_is_asked_for_the_time() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [own, other] = folders.each_ref().map(tempfile::TempDir::path);
    [own, other].into_iter().for_each(certificate);
    let shown = tls::server_config(&own.join("crt"), &own.join("key"), &Files::default()).unwrap();
    let (_, port) = somebody(shown.into(), broker).await;
    let conf = config(
        own,
        &format!("PcoipAddress = https://localhost:{port}\nSecurityGatewayEnabled = false"),
    );
    let broker = Broker::new(&conf, &Files::default()).unwrap();
    let refusal = |certificates: Vec<CertificateDer<'_>>| {
        Refusal::new(&certificates[0], &CertificateError::Expired.into(), false)
    };
    let refused = [own, other].map(|path| refusal(tls::certificates(&path.join("crt")).unwrap()));

    let skews = [broker.skew(&refused[0]).await, broker.skew(&refused[1]).await];

    assert!(skews[0].is_some_and(|skew| skew.abs() < 60), "{skews:?}");
    assert_eq!(skews[1], None);
}
