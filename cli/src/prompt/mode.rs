//! A mode of the terminal for as long as a question is open. A shell that resumes the program sets its
//! own mode, so the mode is checked and set again.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    errno::Errno,
    libc::_POSIX_VDISABLE,
    sys::termios::{
        LocalFlags, SetArg, SpecialCharacterIndices, Termios, cfmakeraw, tcgetattr, tcsetattr,
    },
};

/// How often to check whether the mode is still set.
const CHECK: Duration = Duration::from_millis(50);
/// What a shell changes.
const KEPT: LocalFlags = LocalFlags::ECHO.union(LocalFlags::ICANON).union(LocalFlags::ISIG);

/// A mode of the terminal, which ends when this is dropped.
pub(super) struct Mode {
    terminal: Arc<OwnedFd>,
    before: Termios,
    end: Sender<()>,
    keeper: Option<JoinHandle<()>>,
}

impl Mode {
    /// Every key is passed on unseen, also those that send signals.
    ///
    /// # Errors
    ///
    /// Standard input is not a terminal.
    pub(super) fn raw(resumed: impl Fn() + Send + 'static) -> nix::Result<Self> {
        Self::set(standard_input()?, as_raw, resumed)
    }

    /// Lines are not shown while they are typed. Keys that suspend or quit the program are switched off:
    /// the shell would show the next keys, or stay without echo.
    ///
    /// # Errors
    ///
    /// Standard input is not a terminal.
    pub(super) fn unseen(resumed: impl Fn() + Send + 'static) -> nix::Result<Self> {
        Self::set(standard_input()?, as_unseen, resumed)
    }

    /// `resumed` is called after the mode was set again.
    fn set(
        terminal: OwnedFd,
        change: fn(&mut Termios),
        resumed: impl Fn() + Send + 'static,
    ) -> nix::Result<Self> {
        let terminal = Arc::new(terminal);
        let before = tcgetattr(&terminal)?;
        let mut mode = before.clone();
        change(&mut mode);
        tcsetattr(&terminal, SetArg::TCSADRAIN, &mode)?;
        let (end, ended) = channel();
        let kept = Arc::clone(&terminal);
        let keeper = thread::spawn(move || {
            while ended.recv_timeout(CHECK) == Err(RecvTimeoutError::Timeout) {
                if is_changed(&kept, &mode) && tcsetattr(&kept, SetArg::TCSADRAIN, &mode).is_ok() {
                    resumed();
                }
            }
        });
        Ok(Self { terminal, before, end, keeper: Some(keeper) })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        let _ = self.end.send(());
        let _ = self.keeper.take().map(JoinHandle::join);
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

fn standard_input() -> nix::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned().map_err(|_| Errno::EBADF)
}

fn is_changed(terminal: &OwnedFd, mode: &Termios) -> bool {
    tcgetattr(terminal).is_ok_and(|now| (now.local_flags ^ mode.local_flags).intersects(KEPT))
}

fn as_raw(mode: &mut Termios) {
    let output = mode.output_flags;
    cfmakeraw(mode);
    // Line breaks of the output stay line breaks.
    mode.output_flags = output;
}

fn as_unseen(mode: &mut Termios) {
    mode.local_flags.remove(LocalFlags::ECHO);
    for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
        mode.control_chars[key as usize] = _POSIX_VDISABLE;
    }
}

#[cfg(test)]
mod tests {
    use nix::pty::openpty;

    use super::*;

    #[test]
    fn a_password_stays_unseen_and_its_question_open_whatever_a_shell_sets() {
        let ends = openpty(None, None).unwrap();
        let before = tcgetattr(&ends.slave).unwrap();
        let (tell, told) = channel();
        let terminal = ends.slave.try_clone().unwrap();

        let unseen = Mode::set(terminal, as_unseen, move || tell.send(()).unwrap()).unwrap();

        for _ in 0..2 {
            let mode = tcgetattr(&ends.slave).unwrap();
            assert!(!mode.local_flags.contains(LocalFlags::ECHO));
            assert!(mode.local_flags.contains(LocalFlags::ICANON | LocalFlags::ISIG));
            for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
                assert_eq!(mode.control_chars[key as usize], _POSIX_VDISABLE);
            }
            // As a shell does before it resumes the program.
            tcsetattr(&ends.slave, SetArg::TCSANOW, &before).unwrap();
            told.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        drop(unseen);
        assert_eq!(tcgetattr(&ends.slave).unwrap(), before);
    }
}
