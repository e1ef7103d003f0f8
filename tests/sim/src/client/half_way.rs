//! A user who has sent name and password, and has not entered the second factor yet.

use super::answers::Dialog;
use super::broker::{Broker, Resumption};
use super::error::{Error, Fault};
use super::{Options, Report};
use crate::events::{Events, with_causes};
use crate::tls::Connectors;

/// A user whose broker waits for the second factor, without an open connection.
#[derive(Debug)]
pub struct AtSecondFactor {
    options: Options,
    dialog: Dialog,
    session: Resumption,
    log_id: String,
}

/// Logs on up to the second factor.
///
/// # Errors
///
/// What was wrong, with its causes.
pub async fn half_way(options: &Options) -> Result<AtSecondFactor, String> {
    let connectors = Connectors::new(&options.trust).map_err(|error| with_causes(&error))?;
    let (events, log_id) = (Events::discarded(), Report::new(options).session_log_id);
    let mut broker = Broker::new(options, &events, &connectors, &log_id);
    let asked: Result<(Dialog, Resumption), Error> = async {
        broker.hello().await?;
        let dialog = broker.authenticate().await?.ok_or(Fault::Field("dialog"))?;
        Ok((dialog, broker.resumption().ok_or(Fault::NoCookie)?))
    }
    .await;
    let (dialog, session) = asked.map_err(|error| with_causes(&error))?;
    Ok(AtSecondFactor { options: options.clone(), dialog, session, log_id })
}

impl AtSecondFactor {
    /// Enters the second factor, lists the resources and logs off.
    ///
    /// # Errors
    ///
    /// What was wrong, with its causes.
    pub async fn finish(self) -> Result<(), String> {
        let Self { options, dialog, session, log_id } = self;
        let connectors = Connectors::new(&options.trust).map_err(|error| with_causes(&error))?;
        let events = Events::discarded();
        let mut broker = Broker::new(&options, &events, &connectors, &log_id);
        broker.resume(session);
        let finished: Result<(), Error> = async {
            broker.second_factor(&dialog).await?;
            broker.list().await?;
            broker.bye().await
        }
        .await;
        finished.map_err(|error| with_causes(&error))
    }
}
