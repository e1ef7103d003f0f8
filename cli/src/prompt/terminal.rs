//! The terminal that the person sits at. The system's own editing of a line does: it takes pasted text,
//! and tells the end of input apart from an empty line, which libraries for prompts do not.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    unistd,
};
use zeroize::Zeroizing;

use super::{Gone, Person};
use crate::{finding::Finding, screen::Screen, shown::plain, system::System};

/// How often it is looked whether the operator wants to stop, in milliseconds.
const LOOK: u8 = 50;
/// The longest line that a terminal passes on.
const LINE: usize = 4096;

/// Somebody at standard input and standard error.
pub(crate) struct Terminal<'a> {
    screen: &'a Screen,
    system: &'a mut dyn System,
}

impl<'a> Terminal<'a> {
    /// Whoever sits there; the system tells when the signal to stop has come.
    pub(crate) fn new(screen: &'a Screen, system: &'a mut dyn System) -> Self {
        Self { screen, system }
    }

    /// Waits for a line and reads it.
    fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, Gone> {
        let input = io::stdin();
        // A buffer that grows would leave pieces of a password behind.
        let mut line = Zeroizing::new(Vec::with_capacity(2 * LINE));
        let mut buffer = Zeroizing::new([0; LINE]);
        while !line.ends_with(b"\n") && line.len() < LINE {
            if self.system.pause(Duration::ZERO) {
                return Err(Gone);
            }
            let mut waiting = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, PollTimeout::from(LOOK)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(_) => return Err(Gone),
            }
            match unistd::read(&input, &mut buffer[..]) {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Ok(0) | Err(_) => return Err(Gone),
                Ok(count) => line.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(line)
    }
}

impl Person for Terminal<'_> {
    fn tell(&mut self, text: &str) {
        err(&format!("{}\n", plain(text)));
    }

    fn refuse(&mut self, finding: &Finding) {
        self.screen.finding(finding);
    }

    fn ask(&mut self, question: &str, is_secret: bool) -> Result<Zeroizing<String>, Gone> {
        loop {
            // Before the question: who answers it at once is not to see a secret either.
            let unseen = if is_secret { Some(Unseen::begin().map_err(|_| Gone)?) } else { None };
            err(&plain(question));
            let line = self.line();
            drop(unseen);
            if is_secret || line.is_err() {
                err("\n");
            }
            let line = line?;
            match std::str::from_utf8(&line) {
                Ok(text) if is_secret => {
                    return Ok(text.trim_end_matches(['\r', '\n']).to_owned().into());
                }
                Ok(text) => return Ok(text.trim().to_owned().into()),
                Err(_) => self.tell("that is not UTF-8; type it again"),
            }
        }
    }
}

/// What is typed is not seen, until this goes.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &unseen)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

fn err(text: &str) {
    let _ = write!(io::stderr(), "{text}");
}
