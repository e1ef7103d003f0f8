//! When to stop: told by a signal, or left alone by whoever holds the other end of standard input.

use std::io::{self, IsTerminal as _, Read as _};
use std::os::unix::fs::FileTypeExt as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// When the end of standard input means that it is time to stop.
#[derive(Clone, Copy)]
pub(crate) enum InputEnd {
    /// Always, so that nothing that runs for ever is left behind.
    Counts,
    /// When someone held the other end, as nobody does with `/dev/null`: for what ends by itself.
    CountsIfHeld,
    /// Never: only a signal ends what is to outlive who started it.
    MeansNothing,
}

/// Returns what is cancelled when it is time to stop.
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
        // A thread, since a runtime would wait for the read that never ends.
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
            token.cancel();
        });
    }
    Ok(stop)
}

/// Tells whether standard input is something that ends when another process does.
fn someone_holds_the_other_end() -> bool {
    let kind = std::fs::metadata("/dev/stdin").map(|data| data.file_type());
    io::stdin().is_terminal() || kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}
