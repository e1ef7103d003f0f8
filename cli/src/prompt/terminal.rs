//! The terminal that the person uses. Passwords are read line by line, and so is everything where the
//! cursor cannot move.

use std::{
    ffi::OsStr,
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

use super::{Gone, Judge, Person, ValueQuestion, dialog::Dialog, lines};
use crate::{finding::Finding, screen::Screen, shown::plain, system::System};

/// How often to check for a signal to stop, in milliseconds.
const LOOK: u8 = 50;
/// The longest line that a terminal passes on.
const LINE: usize = 4096;

/// A person at standard input and standard error.
pub(crate) struct Terminal<'a> {
    screen: &'a Screen,
    system: &'a mut dyn System,
    moves_cursor: bool,
}

impl<'a> Terminal<'a> {
    /// The person there; the system reports a signal to stop.
    pub(crate) fn new(screen: &'a Screen, system: &'a mut dyn System) -> Self {
        let moves_cursor = moves_cursor(std::env::var_os("TERM").as_deref());
        Self { screen, system, moves_cursor }
    }

    /// A question that is edited in place.
    fn dialog(&mut self) -> Result<Dialog, Gone> {
        if self.system.pause(Duration::ZERO) { Err(Gone) } else { Dialog::begin() }
    }

    /// Waits for a line and reads it.
    fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, Gone> {
        let input = io::stdin();
        // A buffer that grows would leave pieces of a password behind.
        let mut line = Zeroizing::new(Vec::with_capacity(2 * LINE));
        let mut buffer = Zeroizing::new([0; LINE]);
        // Keys that were pressed while another question was edited end their line with `\r`.
        while !line.ends_with(b"\n") && !line.ends_with(b"\r") && line.len() < LINE {
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
        self.screen.show(text);
    }

    fn refuse(&mut self, finding: &Finding) {
        self.screen.finding(finding);
    }

    fn ask(&mut self, question: &str, is_secret: bool) -> Result<Zeroizing<String>, Gone> {
        loop {
            // Before the question, so that an early answer is not shown either.
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
                Err(_) => self.tell("the input is not UTF-8; enter it again"),
            }
        }
    }

    fn value(&mut self, question: &ValueQuestion, judge: &mut Judge<'_>) -> Result<String, Gone> {
        if !self.moves_cursor {
            return lines::value(self, question, judge);
        }
        self.dialog()?.value(question, judge, self.screen)
    }

    fn choose(&mut self, question: &str, choices: &[&str]) -> Result<usize, Gone> {
        if !self.moves_cursor {
            return lines::choice(self, question, choices);
        }
        self.dialog()?.choice(question, choices)
    }

    fn confirm(&mut self, question: &str) -> Result<bool, Gone> {
        if !self.moves_cursor {
            return lines::confirmation(self, question);
        }
        self.dialog()?.confirmation(question)
    }
}

/// The terminal does not show what is typed until this is dropped.
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

/// Whether a terminal of this kind can move its cursor.
fn moves_cursor(kind: Option<&OsStr>) -> bool {
    kind.is_some_and(|kind| !["", "dumb", "unknown"].iter().any(|other| kind == *other))
}

fn err(text: &str) {
    let _ = write!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_says_nothing_of_itself_gets_plain_lines() {
        let table = [
            (Some("xterm-256color"), true),
            (Some("linux"), true),
            (Some("dumb"), false),
            (Some("unknown"), false),
            (Some(""), false),
            (None, false),
        ];
        for (kind, moves) in table {
            assert_eq!(moves_cursor(kind.map(OsStr::new)), moves, "{kind:?}");
        }
    }
}
