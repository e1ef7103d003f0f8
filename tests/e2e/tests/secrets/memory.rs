//! The secrets of an ended session in the memory of a running role.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    time::Duration,
};

use cmsg_config::socket::Role;
use e2e::needs::{Need, met};
use memchr::memmem;
use pcoip_sim::{client, tag::Tag};

use crate::sessions::{
    ALLOCATE, HELLO, LIST, PASSCODE, PASSWORD, Site, blocking, factor, password,
};

/// Connections to the broker and to agents stay open for four seconds after their last use.
const POLLS: u32 = 60;
const POLL: Duration = Duration::from_millis(500);
const PIECE: usize = 1 << 20;

/// Secrets by name, as they appear in documents and headers.
type Secrets = Vec<(&'static str, Vec<u8>)>;

/// The secrets in the writable memory of a process.
fn in_memory(pid: u32, secrets: &Secrets) -> Vec<&'static str> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process runs");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the process can be looked into");
    let longest = secrets.iter().map(|(_, secret)| secret.len()).max().unwrap_or_default();
    let mut found = Vec::new();
    let mut piece = vec![0; PIECE];
    for (start, end) in maps.lines().filter_map(writable) {
        let mut at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let Ok(read) = memory.read_at(&mut piece[..wanted], at) else { break };
            for (name, secret) in secrets {
                if !found.contains(name) && memmem::find(&piece[..read], secret).is_some() {
                    found.push(name);
                }
            }
            // Pieces overlap, so that no secret is split.
            let step = if read == PIECE { read - longest } else { read };
            at += step.max(1) as u64;
        }
    }
    found
}

/// The address range of a mapping that is readable and writable.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut columns = line.split_whitespace();
    let (start, end) = columns.next()?.split_once('-')?;
    columns.next()?.starts_with("rw").then_some(())?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_leaves_no_secret_in_memory() {
    if !met(&[Need::Root]) {
        return;
    }
    let site = Site::start("INFO").await;
    let mut talk = site.talk();
    for message in [HELLO.to_owned(), password(PASSWORD), factor(PASSCODE), LIST.to_owned()] {
        talk.ask(&message).await;
    }
    let answer = talk.ask(ALLOCATE).await;
    let tag = answer.split_once("<connect-tag>").and_then(|(_, rest)| rest.split_once('<'));
    let (tag, _) = tag.unwrap_or_else(|| panic!("no tag: {answer}"));
    let escaped = PASSWORD.replace('&', "&amp;").replace('<', "&lt;");
    let mut secrets: Secrets = vec![
        ("password", PASSWORD.into()),
        ("password in XML", escaped.into()),
        ("passcode", PASSCODE.into()),
        ("session tag", tag.into()),
        ("client's cookie", talk.cookie.clone().expect("the session has one").into()),
    ];
    let cookies = site.broker.faults.cookies();
    secrets.extend(cookies.into_iter().map(|cookie| ("broker's cookie", cookie.into())));
    let pids = [Role::Cm, Role::Sg].map(|role| site.status(role).pid);

    let during = in_memory(pids[0], &secrets);
    let options = client::SessionOptions { datagrams: 20, ..client::SessionOptions::default() };
    let tag = Tag::parse(tag).expect("it is a tag");
    let visited = client::visit(site.address(Role::Sg, "pcoip"), tag, &options).await;
    let answer = talk.ask("<bye />").await;
    let mut left = Vec::new();
    for _ in 0..POLLS {
        left = pids.map(|pid| in_memory(pid, &secrets)).concat();
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(POLL).await;
    }

    for kept in ["password", "client's cookie", "broker's cookie"] {
        assert!(during.contains(&kept), "the search finds what a session keeps: {during:?}");
    }
    assert!(visited.is_ok() && answer.contains("bye-resp"), "{visited:?} {answer}");
    assert_eq!(left, [""; 0]);
    let Site { place, .. } = site;
    blocking(move || drop(place)).await;
}
