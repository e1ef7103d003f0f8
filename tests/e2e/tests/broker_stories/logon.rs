//! Logging on: what a user may get wrong and retry.

use pcoip_sim::faults::Fault;

use crate::talk::{
    ALLOCATE, HELLO, ID, LIST, PASSCODE, PASSWORD, Talk, client, error_6612, last_warning, site,
};

const WRONG: &str = "AUTH_FAILED_UNKNOWN_USERNAME_OR_PASSWORD";

#[tokio::test]
async fn a_wrong_password_may_be_followed_by_the_right_one() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    talk.ask(HELLO).await;

    let wrong = talk.ask(&PASSWORD.replace("correct horse", "mule")).await;
    let right = talk.ask(PASSWORD).await;
    talk.ask(PASSCODE).await;
    let allocated = talk.ask(ALLOCATE).await;

    assert!(wrong.contains(&format!("<result-id>{WRONG}</result-id>")), "{wrong}");
    let refused: Vec<_> = site
        .log()
        .into_iter()
        .filter(|line| line.message.starts_with("The broker refused"))
        .collect();
    let [line] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!((line.session.as_str(), line.level.as_str()), (ID, "INFO"));
    assert_eq!(
        line.message,
        format!("The broker refused the request (authenticate) client=127.0.0.1 result={WRONG}")
    );
    assert!(right.contains("AUTH_SUCCESSFUL_AND_INCOMPLETE"), "{right}");
    assert!(allocated.contains("ALLOC_SUCCESSFUL"), "{allocated}");
    let launches = site.agent.faults.heard("launch-session");
    assert!(launches[0].contains("<password>correct horse</password>"), "{launches:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_second_factor_may_be_followed_by_the_right_one_and_never_skipped() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    talk.ask(HELLO).await;
    talk.ask(PASSWORD).await;

    let wrong = talk.ask(&PASSCODE.replace("123456", "654321")).await;
    let skipped = talk.ask(LIST).await;
    let right = talk.ask(PASSCODE).await;

    assert!(wrong.contains("AUTH_FAILED_DIALOG_INVALID_USER_ENTRY"), "{wrong}");
    assert_eq!(skipped, error_6612("The requested session is invalid."));
    assert!(right.contains("AUTH_SUCCESSFUL_AND_COMPLETE"), "{right}");
    assert_eq!(site.broker.faults.heard("get-resource-list").len(), 0);
    site.stop().await;
}

#[tokio::test]
async fn a_cancelled_dialog_and_unknown_answers_are_between_client_and_broker() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    talk.ask(HELLO).await;
    talk.ask(PASSWORD).await;
    let asked = "<authenticate method=\"dialog\"><fields /><button-id>CANCEL</button-id><new:x a='1'/>\
                 </authenticate>";
    let answered = "<authenticate-resp method=\"dialog\"><result>\
                    <result-id>AUTH_FAILED_ACCESS_DENIED</result-id><result-str>Abgebrochen \u{fc}\
                    </result-str></result><next-authentication><new:y /></next-authentication>\
                    </authenticate-resp>";
    site.broker.faults.next("authenticate", Fault::broker_says(answered));

    let answer = talk.ask(asked).await;

    assert_eq!(answer, client(answered));
    let heard = site.broker.faults.heard("authenticate");
    assert_eq!(heard[1], format!("<pcoip-broker version=\"2.1\">{asked}</pcoip-broker>"));
    site.stop().await;
}

#[tokio::test]
async fn several_domains_reach_the_client_and_the_chosen_one_the_agent() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    let one = "<domain>example.com</domain>";
    let several = "<domain>example.com</domain><domain>b.example</domain><domain>c</domain>";
    site.broker.faults.next("hello", Fault::Change(one.to_owned(), several.to_owned()));

    let greeted = talk.ask(HELLO).await;
    talk.ask(PASSWORD).await;
    talk.ask(PASSCODE).await;
    talk.ask(ALLOCATE).await;

    assert!(greeted.contains(&format!("<domains>{several}</domains>")), "{greeted}");
    assert!(site.agent.faults.heard("launch-session")[0].contains(one));
    site.stop().await;
}

#[tokio::test]
async fn a_user_without_resources_is_told_so_by_the_broker() {
    let result = |id: &str| {
        format!(
            "<get-resource-list-resp><result><result-id>{id}</result-id><result-str>No resources\
             </result-str></result></get-resource-list-resp>"
        )
    };
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    for id in ["LIST_FAILED_NO_ENTITLEMENT", "LIST_SUCCESSFUL"] {
        let said = result(id);
        site.broker.faults.next("get-resource-list", Fault::broker_says(&said));

        assert_eq!(talk.ask(LIST).await, client(&said));
    }
    site.stop().await;
}

#[tokio::test]
async fn a_logon_of_no_human_size_is_not_kept() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    talk.ask(HELLO).await;
    let large = PASSWORD.replace("correct horse", &"x".repeat(50_000));
    let complete = "<authenticate-resp method=\"password\"><result>\
                    <result-id>AUTH_SUCCESSFUL_AND_INCOMPLETE</result-id></result>\
                    </authenticate-resp>";
    site.broker.faults.next("authenticate", Fault::broker_says(complete));

    let answer = talk.ask(&large).await;

    assert_eq!(answer, client(complete));
    let logged = "The credentials are too long for an agent and were discarded";
    assert_eq!(last_warning(&site).1, logged);
    site.stop().await;
}
