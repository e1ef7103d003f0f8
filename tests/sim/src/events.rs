//! Events of a simulator, in a queue that never blocks it.

use std::time::Instant;

use tokio::sync::mpsc;

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub struct Events<E>(mpsc::UnboundedSender<E>);

impl<E> Events<E> {
    /// Returns both ends of a queue.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<E>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Returns a sender without a receiver.
    pub fn discarded() -> Self {
        Self::channel().0
    }

    /// Emits an event, which is lost if there is no receiver.
    pub(crate) fn emit(&self, event: E) {
        let _ = self.0.send(event);
    }
}

/// Returns the milliseconds since then, to the microsecond.
pub(crate) fn milliseconds_since(then: Instant) -> f64 {
    (then.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

/// Formats an error with all its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
