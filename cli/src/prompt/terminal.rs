//! The terminal that the person uses. Passwords are read line by line, and so is everything where the
//! cursor cannot move.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};
use zeroize::Zeroizing;

use super::{Gone, Judge, Person, ValueQuestion, dialog::Dialog, lines, mode::Mode};
use crate::{
    finding::Finding,
    screen::{self, Screen},
    shown::plain,
    system::System,
};

/// How often to check for a signal to stop, in milliseconds.
const LOOK: u8 = 50;
/// The keys that would suspend or quit the program, Ctrl-Z and Ctrl-\\, are no part of a password.
const UNUSED: [char; 2] = ['\u{1a}', '\u{1c}'];
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
        let moves_cursor = !screen::is_dumb();
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
            let shown = plain(question);
            let again = format!("\n{shown}");
            let unseen = is_secret.then(|| Mode::unseen(move || err(&again))).transpose();
            let unseen = unseen.map_err(|_| Gone)?;
            err(&shown);
            let line = self.line();
            drop(unseen);
            if is_secret || line.is_err() {
                err("\n");
            }
            let line = line?;
            match std::str::from_utf8(&line) {
                Ok(text) if is_secret => {
                    let text = text.trim_end_matches(['\r', '\n']);
                    return Ok(text.replace(UNUSED, "").into());
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

fn err(text: &str) {
    let _ = write!(io::stderr(), "{text}");
}
