//! Why a step was not performed.

use cmsg_engine::{PullError, Refusal, is_detached};

use super::live::{Missed, NotLive};

/// Why a step was not performed.
#[derive(Debug)]
pub(crate) enum StepError {
    Failed(anyhow::Error),
    /// The roles do not answer.
    NotLive(NotLive),
    /// The operator interrupted it.
    Interrupted,
}

impl From<anyhow::Error> for StepError {
    fn from(error: anyhow::Error) -> Self {
        let is_cancelled = |error: &PullError| error.why == Refusal::Cancelled;
        if error.downcast_ref().is_some_and(is_cancelled) {
            return Self::Interrupted;
        }
        Self::Failed(error)
    }
}

impl From<Missed> for StepError {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::NotLive(why) => Self::NotLive(why),
            Missed::Interrupted => Self::Interrupted,
        }
    }
}

impl StepError {
    /// What an operator can do about the cause, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(error) if is_detached(error) => {
                Some("restart Docker (`systemctl restart docker`)".to_owned())
            }
            Self::Failed(error) => error.downcast_ref::<PullError>()?.hint(),
            Self::NotLive(_) | Self::Interrupted => None,
        }
    }

    /// The error to tell.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Failed(error) => error,
            Self::NotLive(why) => why.into(),
            Self::Interrupted => anyhow::anyhow!("interrupted"),
        }
    }
}
