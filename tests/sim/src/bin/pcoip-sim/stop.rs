//! When to stop: on a signal, or when standard input is closed.

use std::io::{self, IsTerminal as _, Read as _};
use std::os::unix::fs::FileTypeExt as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// When the end of standard input stops the simulator.
#[derive(Clone, Copy)]
pub(crate) enum InputEnd {
    /// Always, so that no long-running process is left behind.
    Counts,
    /// Only if the input is a pipe or socket: for simulators that end by themselves.
    CountsIfHeld,
    /// Never: the simulator outlives its parent, and only a signal stops it.
    MeansNothing,
}

/// Returns a token that is cancelled when it is time to stop.
pub(crate) fn when_told(input_end: InputEnd) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    let counts = match input_end {
        InputEnd::Counts => true,
        InputEnd::CountsIfHeld => someone_holds_the_other_end(),
        InputEnd::MeansNothing => false,
    };
    if counts {
        let token = stop.clone();
        // A thread, since the runtime would wait for a blocking read at its shutdown.
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
            token.cancel();
        });
    }
    Ok(stop)
}

/// Whether standard input ends when another process exits.
fn someone_holds_the_other_end() -> bool {
    let kind = std::fs::metadata("/dev/stdin").map(|data| data.file_type());
    io::stdin().is_terminal() || kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}
