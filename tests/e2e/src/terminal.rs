//! A program in a pseudo-terminal, with simulated input.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZero,
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{SetArg, Termios, tcgetattr, tcsetattr},
    },
    unistd::Pid,
};

/// The key that interrupts.
pub const CTRL_C: &str = "\u{3}";
/// The key that ends the input.
pub const CTRL_D: &str = "\u{4}";
/// The key that goes down in a list.
pub const DOWN: &str = "\u{1b}[B";

/// A timeout for the slowest machine.
const WAIT: Duration = Duration::from_secs(120);
/// High enough for a whole plan.
const ROWS: u16 = 200;
/// Wide enough for most texts.
const COLUMNS: u16 = 160;

/// The terminal. It needs [`crate::needs::Need::Tool`] with `setsid`.
#[derive(Debug)]
pub struct Terminal {
    program: Child,
    keys: File,
    columns: u16,
    /// All that was shown.
    shown: String,
    /// How much of it was expected so far.
    met: usize,
}

impl Terminal {
    /// Starts a program in the terminal, which gets the signals of its keys.
    ///
    /// # Panics
    ///
    /// If there is no terminal, or no such program.
    #[must_use]
    pub fn run(command: &Command) -> Self {
        Self::run_in(COLUMNS, command)
    }

    /// The same in a terminal with so many columns.
    ///
    /// # Panics
    ///
    /// As above.
    #[must_use]
    pub fn run_in(columns: u16, command: &Command) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(&size, None).expect("there is a terminal");
        // Child processes of the program must not keep either end open.
        for end in [&ends.master, &ends.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("it can be kept from others");
        }
        let program = start(command, &ends.slave);
        Self { program, keys: File::from(ends.master), columns, shown: String::new(), met: 0 }
    }

    /// The terminal's modes, such as whether it shows what is typed.
    ///
    /// # Panics
    ///
    /// Where they cannot be read.
    #[must_use]
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.keys).expect("a terminal has modes")
    }

    /// Sets the terminal's modes, as a shell does before it resumes a program.
    ///
    /// # Panics
    ///
    /// Where they cannot be set.
    pub fn set_modes(&self, modes: &Termios) {
        tcsetattr(&self.keys, SetArg::TCSANOW, modes).expect("a terminal takes modes");
    }

    /// What a person sees.
    #[must_use]
    pub fn screen(&self) -> String {
        self.interpreted().screen().contents()
    }

    /// Whether a person sees the cursor.
    #[must_use]
    pub fn has_cursor(&self) -> bool {
        !self.interpreted().screen().hide_cursor()
    }

    fn interpreted(&self) -> vt100::Parser {
        let size = |number| NonZero::new(number).expect("a terminal has rows and columns");
        let mut parser = vt100::Parser::new(size(ROWS), size(self.columns), 0);
        parser.process(self.shown.as_bytes());
        parser
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    ///
    /// Where it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.program.id()).expect("a process id is small");
        kill(Pid::from_raw(id), signal).expect("the program runs");
    }

    /// Waits until a text is shown after the previously expected one.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn expect(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            if let Some(place) = self.shown[self.met..].find(text) {
                self.met += place + text.len();
                return;
            }
            let goes_on = begun.elapsed() < WAIT && self.read();
            assert!(goes_on, "`{text}` is not shown:\n{}", &self.shown);
        }
    }

    /// Does something until a text is shown after the previously expected one. A program that is
    /// between two waits may not notice the first time.
    ///
    /// # Panics
    ///
    /// If it is not shown.
    pub fn expect_after(&mut self, text: &str, again: impl Fn(&Self)) {
        let begun = Instant::now();
        while !self.shown[self.met..].contains(text) {
            assert!(begun.elapsed() < WAIT, "`{text}` is not shown:\n{}", self.shown);
            again(self);
            self.ends_within(Duration::from_secs(1));
        }
        self.expect(text);
    }

    /// Presses keys.
    ///
    /// # Panics
    ///
    /// If no program reads them.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits for a question and answers it.
    pub fn answer(&mut self, question: &str, answer: &str) {
        self.expect(question);
        self.press(&format!("{answer}\r"));
    }

    /// Waits until the program has exited. Returns its exit code and the whole output.
    ///
    /// # Panics
    ///
    /// If it does not end.
    #[must_use]
    pub fn ended(mut self) -> (i32, String) {
        (self.end(), std::mem::take(&mut self.shown))
    }

    /// Whether the program ends in this time.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let begun = Instant::now();
        while self.read() {
            if begun.elapsed() > time {
                return false;
            }
        }
        true
    }

    /// Waits until the program has ended; returns its exit code.
    ///
    /// # Panics
    ///
    /// Where it does not end.
    pub fn end(&mut self) -> i32 {
        let begun = Instant::now();
        while self.read() {
            assert!(begun.elapsed() < WAIT, "it does not end:\n{}", self.shown);
        }
        let status = self.program.wait().expect("its end can be waited for");
        status.code().expect("it ends by itself")
    }

    /// Reads more output; false at its end.
    fn read(&mut self) -> bool {
        let mut waiting = [PollFd::new(self.keys.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, PollTimeout::from(200_u8)).expect("the terminal can be waited for")
            == 0
        {
            return true;
        }
        let mut bytes = [0; 4096];
        // On Linux, reading fails when the last program has exited.
        let count = self.keys.read(&mut bytes).unwrap_or_default();
        self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn start(command: &Command, slave: &OwnedFd) -> Child {
    let end = || Stdio::from(slave.try_clone().expect("a descriptor can be copied"));
    let mut setsid = Command::new("setsid");
    setsid.arg("--ctty").arg(command.get_program()).args(command.get_args());
    crate::installer::plain(&mut setsid).env("TERM", "xterm");
    setsid.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    setsid.stdin(end()).stdout(end()).stderr(end());
    setsid.spawn().expect("the program can be run")
}
