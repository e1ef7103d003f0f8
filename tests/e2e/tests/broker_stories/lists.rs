//! Large lists of desktops are forwarded unchanged, within the memory limit for bodies.

use e2e::site::Site;
use pcoip_sim::faults::Fault;

use crate::talk::{ALLOCATE, LIST, Talk, client, error_6608, site, status, warnings};

/// Maximum size of a list and its document.
const LARGEST: usize = 8 * 1024 * 1024;

/// A response with as many desktops as fit into this number of bytes.
fn list(bytes: usize) -> String {
    let start = "<get-resource-list-resp><result><result-id>LIST_SUCCESSFUL</result-id></result>";
    let end = "</get-resource-list-resp>";
    let resource = |id: usize| {
        format!(
            "<resource><resource-name>Engineering desktop {id}</resource-name>\
             <resource-id>desktop-{id:08}</resource-id><resource-type session-type=\"VDI\">DESKTOP\
             </resource-type><resource-state>UNKNOWN</resource-state><protocols><protocol \
             is-default=\"true\">PCOIP</protocol></protocols><caps><cap>CAP_{}</cap></caps>\
             </resource>",
            "X".repeat(200)
        )
    };
    let mut answer = start.to_owned();
    let most = bytes - around() - end.len();
    for resource in (0..).map(resource) {
        if answer.len() + resource.len() > most {
            break;
        }
        answer.push_str(&resource);
    }
    answer.push_str(&" ".repeat(most - answer.len()));
    answer + end
}

/// Size of what the simulated broker adds to its response.
fn around() -> usize {
    let Fault::Document(document) = Fault::broker_says("") else { panic!("it is a document") };
    document.len()
}

fn ready(site: &Site, bytes: usize) {
    site.broker.faults.next("get-resource-list", Fault::broker_says(&list(bytes)));
}

#[tokio::test]
async fn a_list_of_eight_mebibytes_arrives_and_a_larger_one_is_refused() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    ready(&site, LARGEST);

    let answer = talk.ask(LIST).await;

    assert!(answer == client(&list(LARGEST)), "{} bytes", answer.len());
    assert!(talk.ask(ALLOCATE).await.contains("ALLOC_SUCCESSFUL"));
    assert_eq!(warnings(&site), []);
    let mut talk = Talk::logged_on(&site).await;
    ready(&site, LARGEST + 1);
    assert_eq!(talk.ask(LIST).await, error_6608("Cannot communicate with broker"));
    site.stop().await;
}

#[tokio::test]
async fn lists_that_nobody_reads_give_way_to_others() {
    let site = site("").await;
    let list = Fault::broker_says(&list(LARGEST));
    let mut idle = Vec::new();
    for host in 2..12 {
        let mut talk = Talk::slow(&site, &format!("127.0.0.{host}")).await;
        talk.log_on().await;
        site.broker.faults.next("get-resource-list", list.clone());
        talk.send(&talk.request(LIST)).await;
        idle.push(talk);
    }

    let mut talk = Talk::logged_on(&site).await;
    site.broker.faults.next("get-resource-list", list);
    let answer = talk.ask(LIST).await;

    let root = "<pcoip-client version=\"2.1\">".len() + "</pcoip-client>".len();
    assert_eq!(answer.len(), LARGEST - around() + root);
    let evicted = status(&site).await.unserved.expect("it counts").evicted;
    assert!((1..=10).contains(&evicted), "{evicted}");
    drop(idle);
    site.stop().await;
}

/// More than 1 MiB, and more than a connection's buffers hold.
const LARGE: usize = 2 * 1024 * 1024;

/// The shared address of many users.
const OFFICE: &str = "127.0.0.2";

#[tokio::test]
async fn users_behind_one_address_do_not_cut_off_one_another() {
    let site = site("").await;
    let list = Fault::broker_says(&list(LARGE));
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut talk = Talk::slow(&site, OFFICE).await;
        talk.log_on().await;
        site.broker.faults.next("get-resource-list", list.clone());
        talk.send(&talk.request(LIST)).await;
        talk.answer_begins().await;
        slow.push(talk);
    }

    let mut ninth = Talk::slow(&site, OFFICE).await;
    ninth.log_on().await;
    site.broker.faults.next("get-resource-list", list);
    let answer = ninth.ask(LIST).await;
    assert!(answer == error_6608("Cannot communicate with broker"), "{} bytes", answer.len());

    for talk in &mut slow {
        assert!(talk.answer().await.body.len() > LARGE - around(), "it arrives whole");
    }
    let unserved = status(&site).await.unserved.expect("it counts");
    assert_eq!((unserved.evicted, unserved.memory), (0, 1));
    site.stop().await;
}

#[tokio::test]
async fn a_session_that_reads_nothing_has_one_list() {
    let site = site("").await;
    let list = Fault::broker_says(&list(LARGE));
    let mut before: Option<Talk> = None;
    for number in 0..12 {
        let mut talk = Talk::slow(&site, OFFICE).await;
        match &before {
            Some(before) => talk.cookie.clone_from(&before.cookie),
            None => talk.log_on().await,
        }
        site.broker.faults.next("get-resource-list", list.clone());
        talk.send(&talk.request(LIST)).await;
        talk.answer_begins().await;
        before = Some(talk);
        let evicted = status(&site).await.unserved.expect("it counts").evicted;
        assert_eq!(evicted, number, "the connection before is closed");
    }
    drop(before);
    site.stop().await;
}
