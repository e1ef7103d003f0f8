//! How a story ends: with the tasks, descriptors and files that were there before it, and no others.
//! What a story itself holds to its end, it says by [`spawn`] and [`own`].

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

/// A machine that is busy takes ten times as long to close what is open.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a story runs in a process of its own, nobody else opens descriptors.
const ALONE: &str = "NEXTEST";

thread_local! {
    static TASKS: RefCell<Vec<AbortHandle>> = const { RefCell::new(Vec::new()) };
    static SOCKETS: RefCell<HashSet<String>> = RefCell::new(HashSet::new());
}

/// What there was before a story, which has to end by [`Before::is_back`].
#[derive(Debug)]
pub struct Before {
    tasks: usize,
    descriptors: BTreeMap<i32, String>,
    is_over: bool,
}

/// What a story has to leave as it was.
#[derive(Debug)]
pub struct Place<'a> {
    /// Where the product listened.
    pub addresses: &'a [SocketAddr],
    /// Its folder.
    pub folder: TempDir,
    /// The files that stay there when all has stopped, in the order of their names. A `*` stands
    /// for the time in one.
    pub files: &'a [&'a str],
}

/// Starts a task of the story itself, for as long as the story takes. It takes a runtime of one
/// thread.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let task = tokio::spawn(task).abort_handle();
    TASKS.with_borrow_mut(|tasks| tasks.push(task.clone()));
    task
}

/// Notes that a socket is the story's own and may outlive the product. It takes a runtime of one
/// thread.
///
/// # Panics
///
/// Where it is none.
pub fn own(socket: &impl AsFd) {
    let link = format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd());
    let link = fs::read_link(link).expect("an open descriptor leads somewhere");
    SOCKETS.with_borrow_mut(|sockets| sockets.insert(link.display().to_string()));
}

/// Waits until a runtime has no task but the one that asks; a story looks at its own runtime only.
///
/// # Panics
///
/// Where one goes on.
pub async fn no_task_is_left() {
    let begun = Instant::now();
    while tasks() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} tasks are left behind", tasks());
        yield_now().await;
    }
}

impl Before {
    /// What there is at this moment, in the runtime that the story runs in.
    #[must_use]
    pub fn story() -> Self {
        Self { tasks: tasks(), descriptors: descriptors(), is_over: false }
    }

    /// Waits until everything is as it was, and removes the folder.
    ///
    /// # Panics
    ///
    /// Where anything is left behind.
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

/// Every open descriptor and where it leads to.
fn descriptors() -> BTreeMap<i32, String> {
    let listed = fs::read_dir("/proc/self/fd").expect("Linux has that folder");
    let numbers: Vec<i32> =
        listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The folder's own one is closed by then.
    let link = |number| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    let links = numbers.into_iter().filter_map(|fd| Some((fd, link(fd)?.display().to_string())));
    links.collect()
}

/// The sockets of IPv4, by where their descriptors lead to.
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
