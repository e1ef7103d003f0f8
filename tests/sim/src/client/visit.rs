//! A client with a known target and tag, without a broker.

use std::net::SocketAddr;
use std::sync::Arc;

use super::error::Error;
use super::session::{Session, Way};
use super::{Record, SessionOptions, Target};
use crate::events::{Events, with_causes};
use crate::tag::Tag;
use crate::tls::{Connectors, Trust};
use crate::traffic::{Totals, Traffic};

/// Connects to a target, performs the options, and says bye.
///
/// # Errors
///
/// What was wrong, with its causes.
pub async fn visit(
    address: SocketAddr,
    tag: Tag,
    options: &SessionOptions,
) -> Result<(Totals, Record), String> {
    let connectors = Connectors::new(&Trust::Any).map_err(|error| with_causes(&error))?;
    let target = Target {
        ip: address.ip(),
        port: address.port(),
        sni: SNI.to_owned(),
        session_id: String::new(),
        tag,
    };
    let traffic = Arc::new(Traffic::default());
    let mut record = Record::default();
    let way = Way { options, connectors: &connectors, traffic: &traffic, target };
    let visited: Result<(), Error> = async {
        let mut session = Session::open(way, &mut record).await?;
        session.exchange(options.datagrams).await?;
        if !options.hold.is_zero() {
            session.hold(&Events::discarded()).await?;
        }
        session.bye().await
    }
    .await;
    visited.map_err(|error| with_causes(&error))?;
    Ok((traffic.totals(), record))
}

/// The server name that clients must send.
const SNI: &str = "pcoip-default-sg-sni";
