//! Connects to unix sockets, also those of a process that hangs.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Role;

/// Connects to the socket of a role.
///
/// # Errors
///
/// `NotFound` or `ConnectionRefused` if the role is not running, `ResourceBusy` if it does not
/// accept connections; otherwise the error of the system call.
pub fn connect(run: &Path, role: Role) -> io::Result<UnixStream> {
    connect_named(run, role.socket(), Duration::ZERO)
}

pub(super) fn connect_named(run: &Path, name: &str, wait: Duration) -> io::Result<UnixStream> {
    let folder = File::open(run)?;
    connect_at(&through(&folder, name), wait)
}

/// Connects to a unix socket. As long as the queue of a process that does not accept connections is
/// full, the system would wait without a limit.
///
/// # Errors
///
/// `ResourceBusy` if the queue of the socket is still full after that time; otherwise the error of the
/// system call.
pub fn connect_at(socket: &Path, wait: Duration) -> io::Result<UnixStream> {
    let begun = Instant::now();
    let address = SockAddr::unix(socket)?;
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        // A timeout of zero would mean none.
        stream.set_nonblocking(left.is_zero())?;
        if !left.is_zero() {
            stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        }
        match stream.connect(&address) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(crowded()),
            Err(error) => return Err(error),
        }
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(None)?;
    Ok(UnixStream::from(OwnedFd::from(stream)))
}

/// The queue of a socket is full: its process does not accept connections.
fn crowded() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "too many connections wait on its socket")
}

pub(super) fn is_crowded(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

/// A short path to the socket, even if the directory's path is long.
pub(super) fn through(folder: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}
