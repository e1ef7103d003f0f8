//! Checks that a test ends with the same tasks, descriptors and files as before. Tasks and sockets
//! of the test itself are registered with [`spawn`] and [`own`].

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd as _},
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    task::{AbortHandle, yield_now},
};

/// A busy machine takes ten times as long to close everything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set if the test has its own process, in which nothing else opens descriptors.
const ALONE: &str = "NEXTEST";

thread_local! {
    static TASKS: RefCell<Vec<AbortHandle>> = const { RefCell::new(Vec::new()) };
    static SOCKETS: RefCell<HashSet<String>> = RefCell::new(HashSet::new());
}

/// The state before a test, which must end with [`Before::is_back`].
#[derive(Debug)]
pub struct Before {
    tasks: usize,
    descriptors: BTreeMap<i32, String>,
    is_over: bool,
}

/// What the test must leave unchanged.
#[derive(Debug)]
pub struct Place<'a> {
    /// Where the product listened.
    pub addresses: &'a [SocketAddr],
    pub folder: TempDir,
    /// The files that remain when everything has stopped, sorted by name. `*` matches the time in a
    /// name.
    pub files: &'a [&'a str],
}

/// Starts a task of the test itself. Requires a current-thread runtime.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let task = tokio::spawn(task).abort_handle();
    TASKS.with_borrow_mut(|tasks| tasks.push(task.clone()));
    task
}

/// Registers a socket of the test itself, which may outlive the product. Requires a current-thread
/// runtime.
///
/// # Panics
///
/// If it is none.
pub fn own(socket: &impl AsFd) {
    let link = format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd());
    let link = fs::read_link(link).expect("an open descriptor leads somewhere");
    SOCKETS.with_borrow_mut(|sockets| sockets.insert(link.display().to_string()));
}

/// Waits until the current runtime has no other task.
///
/// # Panics
///
/// If one goes on.
pub async fn no_task_is_left() {
    let begun = Instant::now();
    while tasks() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} tasks are left behind", tasks());
        yield_now().await;
    }
}

impl Before {
    /// The current state, in the runtime of the test.
    #[must_use]
    pub fn story() -> Self {
        Self { tasks: tasks(), descriptors: descriptors(), is_over: false }
    }

    /// Waits until everything is as before, and removes the directory.
    ///
    /// # Panics
    ///
    /// If anything is left behind.
    pub async fn is_back(mut self, place: Place<'_>) {
        self.is_over = true;
        TASKS.take().iter().for_each(AbortHandle::abort);
        let begun = Instant::now();
        loop {
            let left = self.left(&place);
            if left.is_empty() {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "the story left behind: {left:#?}");
            yield_now().await;
        }
        let path = place.folder.path().to_owned();
        let files = files(&path);
        let is_known = files.len() == place.files.len()
            && files.iter().zip(place.files).all(|(name, known)| fits(name, known));
        assert!(is_known, "files that the story left behind: {files:?}, not {:?}", place.files);
        place.folder.close().expect("the folder can be removed");
        assert!(!path.exists(), "`{}` is still there", path.display());
    }

    fn left(&self, place: &Place<'_>) -> Vec<String> {
        let more = tasks().saturating_sub(self.tasks);
        let tasks = (more > 0).then(|| format!("{more} tasks"));
        let is_old = |fd: &i32, link: &String| self.descriptors.get(fd) == Some(link);
        let opened: Vec<_> =
            descriptors().into_iter().filter(|(fd, link)| !is_old(fd, link)).collect();
        let sockets = if opened.is_empty() { BTreeMap::new() } else { sockets() };
        let alone = std::env::var_os(ALONE).is_some();
        let folder = place.folder.path().display().to_string();
        let left = opened.into_iter().filter_map(|(fd, link)| {
            let socket = sockets.get(&link);
            let is_products = link.starts_with(&folder)
                || socket.is_some_and(|socket| place.addresses.contains(&socket.local));
            let is_own = SOCKETS.with_borrow(|own| own.contains(&link));
            let counts = if alone { !is_own } else { is_products };
            counts.then(|| format!("descriptor {fd}: {link} {socket:?}"))
        });
        tasks.into_iter().chain(left).collect()
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        let is_fine = self.is_over || std::thread::panicking();
        assert!(is_fine, "a story ends without looking at what it leaves behind");
    }
}

/// The ends of a socket.
#[derive(Debug)]
#[expect(dead_code, reason = "where it leads to is for people")]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// All open descriptors with their targets.
fn descriptors() -> BTreeMap<i32, String> {
    let listed = fs::read_dir("/proc/self/fd").expect("Linux has that folder");
    let numbers: Vec<i32> =
        listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The descriptor of the directory itself is already closed.
    let link = |number| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    let links = numbers.into_iter().filter_map(|fd| Some((fd, link(fd)?.display().to_string())));
    links.collect()
}

/// The IPv4 sockets, by the target of their descriptors.
fn sockets() -> BTreeMap<String, Socket> {
    let tables = ["tcp", "udp"].map(|kind| fs::read_to_string(format!("/proc/self/net/{kind}")));
    let tables = tables.map(|table| table.expect("Linux has that file"));
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (local, remote) = (address(fields.get(1)?)?, address(fields.get(2)?)?);
            Some((format!("socket:[{}]", fields.get(9)?), Socket { local, remote }))
        })
        .collect()
}

/// An address as the kernel writes it: `0100007F:1F90`.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
    Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
}

fn files(folder: &Path) -> Vec<String> {
    let listed = fs::read_dir(folder).expect("the story's folder is there");
    let names = listed.map(|entry| entry.expect("the folder can be read").file_name());
    let names: BTreeSet<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.into_iter().collect()
}

fn fits(name: &str, known: &str) -> bool {
    match known.split_once('*') {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => name == known,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn place(addresses: &[SocketAddr]) -> Place<'_> {
        let folder = tempfile::tempdir().unwrap();
        Place { addresses, folder, files: &[] }
    }

    #[tokio::test]
    async fn a_task_that_stays_is_told_unless_it_is_the_storys_own() {
        let before = Before::story();
        let task = tokio::spawn(std::future::pending::<()>());
        spawn(std::future::pending());

        let left = before.left(&place(&[]));
        task.abort();

        assert_eq!(left, ["2 tasks"]);
        before.is_back(place(&[])).await;
    }

    #[tokio::test]
    async fn a_socket_that_stays_is_told_unless_it_is_the_storys_own() {
        let before = Before::story();
        let stays = TcpListener::bind("127.0.0.1:0").unwrap();
        let storys = UdpSocket::bind("127.0.0.1:0").unwrap();
        own(&storys);
        let address = stays.local_addr().unwrap();

        let left = before.left(&place(&[address]));
        drop(stays);

        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].contains(&format!("local: {address}")), "{left:?}");
        before.is_back(place(&[address])).await;
    }

    #[tokio::test]
    #[should_panic(expected = "files that the story left behind")]
    async fn a_file_that_nobody_knows_is_told() {
        let place = place(&[]);
        fs::File::create(place.folder.path().join("left.sock")).unwrap();

        Before::story().is_back(place).await;
    }
}
