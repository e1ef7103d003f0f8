//! The way from a simulator to whoever watches it: a queue of events that never holds it up.

use std::time::Instant;

use tokio::sync::mpsc;

/// Takes what a simulator has to say.
#[derive(Clone, Debug)]
pub struct Events<E>(mpsc::UnboundedSender<E>);

impl<E> Events<E> {
    /// Returns a sink, and the queue where what it takes comes out.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<E>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Returns a sink that nobody reads.
    pub fn discarded() -> Self {
        Self::channel().0
    }

    /// Says one thing; it is lost when nobody listens any more.
    pub(crate) fn emit(&self, event: E) {
        let _ = self.0.send(event);
    }
}

/// Returns the milliseconds since then, to the microsecond.
pub(crate) fn milliseconds_since(then: Instant) -> f64 {
    (then.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

/// Spells an error with all its causes.
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
