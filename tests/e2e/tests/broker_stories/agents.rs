//! Desktops that are unavailable because the broker, the agent or the gateway refuses.

use pcoip_sim::faults::Fault;

use crate::talk::{
    ALLOCATE, BYE, LIST, PASSWORD, Talk, client, error_6405, error_6612, last_warning, site,
    warning, warnings,
};

const AGENT: &str = "PCoIPAgent";

#[tokio::test]
async fn what_an_agent_refuses_is_told_to_user_and_administrator_and_ends_the_session() {
    let table = [
        ("FAILED_USER_AUTH", "FAILED_USER_AUTH"),
        ("FAILED_ANOTHER_SESSION_STARTED", "FAILED_ANOTHER_SESSION_STARTED"),
        ("FAILED_SERVER_LAUNCH_TIMEOUT", "FAILED_SERVER_LAUNCH_TIMEOUT"),
        ("FAILED_GENERIC", "FAILED_GENERIC"),
        ("FAILED_ON_MONDAYS", "FAILED_GENERIC"),
    ];
    let site = site("SecurityGatewayEnabled = false").await;
    for (said, told) in table {
        let mut talk = Talk::logged_on(&site).await;
        let outcome =
            format!("<result-id>{said}</result-id><fail-reason>not &lt;you&gt;</fail-reason>");
        site.agent.faults.next("launch-session", Fault::agent_says(&outcome));

        let answer = talk.ask(ALLOCATE).await;

        assert_eq!(answer, error_6405(&format!("{told}: not &lt;you&gt;")));
        let logged = format!("The agent did not launch the session result={said} reason=not <you>");
        assert_eq!(last_warning(&site), warning(AGENT, &logged));
        let sent = "Answering the request (allocate-resource) with error 6405 client=127.0.0.1";
        let log = site.log();
        let line = log.iter().rfind(|line| line.message.starts_with(sent)).expect("it is logged");
        assert_eq!(line.message, format!("{sent} reason={told}: not <you>"));
        let invalid = error_6612("The requested session is invalid.");
        for message in [ALLOCATE, LIST, PASSWORD] {
            assert_eq!(talk.ask(message).await, invalid, "{message}");
        }
        assert!(talk.ask(BYE).await.contains("<bye-resp />"));
    }
    assert_eq!(site.agent.faults.heard("launch-session").len(), table.len());
    site.stop().await;
}

#[tokio::test]
async fn an_agent_that_answers_nonsense_fails_alone() {
    let session = |tag: &str| {
        Fault::agent_says(&format!(
            "<result-id>SUCCESSFUL</result-id><session-info><ip-address>127.0.0.1</ip-address>\
             <port>4172</port><session-tag>{tag}</session-tag><session-id>1</session-id>\
             </session-info>"
        ))
    };
    let unusable =
        |error: &str| format!("The agent's response is invalid status=200 error={error}");
    let no_tag = unusable("`session-tag` is missing or malformed");
    let table = [
        (session(""), no_tag.clone()),
        (session("SCS1 x"), no_tag.clone()),
        (session(&"x".repeat(4097)), no_tag),
        (Fault::Document("hello".to_owned()), unusable("content outside the root at byte 0")),
        (
            Fault::Document("<a/>".to_owned()),
            unusable("the document is not a `launch-session-resp`"),
        ),
        (Fault::agent_says(""), unusable("`result-id` is missing or malformed")),
    ];
    let site = site("").await;
    for (fault, logged) in table {
        let mut talk = Talk::logged_on(&site).await;
        site.agent.faults.next("launch-session", fault);

        let answer = talk.ask(ALLOCATE).await;

        assert_eq!(answer, error_6405("FAILED_GENERIC: the agent&apos;s response is invalid"));
        assert_eq!(last_warning(&site), warning(AGENT, &logged));
    }
    site.stop().await;
}

#[tokio::test]
async fn an_agent_that_is_silent_or_too_loud_is_given_up() {
    let timed_out = "FAILED_GENERIC: Timed out communicating with PCoIP Agent";
    let failed = "FAILED_GENERIC: Cannot communicate with PCoIP Agent";
    let large = "the response is larger than 1048576 bytes";
    let table = [
        (Fault::Silence, timed_out, "timed out"),
        (Fault::Flood(100 * 1024 * 1024), failed, large),
    ];
    for (fault, told, error) in table {
        let wait = if matches!(fault, Fault::Silence) { "AgentMaxRespWaitSeconds = 1" } else { "" };
        let site = site(wait).await;
        let mut talk = Talk::logged_on(&site).await;
        site.agent.faults.next("launch-session", fault);

        let answer = talk.ask(ALLOCATE).await;

        assert_eq!(answer, error_6405(told));
        let logged = format!("The agent does not answer error={error}");
        assert_eq!(last_warning(&site), warning(AGENT, &logged));
        site.agent.faults.held(0).await;
        site.stop().await;
    }
}

#[tokio::test]
async fn an_agent_that_is_dead_is_told() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    site.agent.stop().await;

    let answer = talk.ask(ALLOCATE).await;

    assert_eq!(answer, error_6405("FAILED_GENERIC: Cannot communicate with PCoIP Agent"));
    let [(class, message)] = &warnings(&site)[..] else { panic!("{:?}", warnings(&site)) };
    assert_eq!(class, AGENT);
    assert!(
        message.ends_with(" error=the connection was refused (Connection refused, os error 111)"),
        "{message}"
    );
    assert_eq!(talk.ask(ALLOCATE).await, error_6612("The requested session is invalid."));
    assert!(talk.ask(BYE).await.contains("<bye-resp />"));
    site.stop().await;
}

#[tokio::test]
async fn a_resource_that_the_broker_does_not_grant_never_reaches_an_agent() {
    let table =
        ["ALLOC_FAILED_TO_ALLOCATE_AGENT", "ALLOC_PENDING_TRY_AGAIN", "ALLOC_FAILED_NO_LICENSE"];
    let site = site("SecurityGatewayEnabled = false").await;
    for (granted, result) in table.into_iter().enumerate() {
        let mut talk = Talk::logged_on(&site).await;
        let refusal = format!(
            "<allocate-resource-resp><result><result-id>{result}</result-id><result-str>No\
             </result-str></result><new:thing  a='1' /></allocate-resource-resp>"
        );
        site.broker.faults.next("allocate-resource", Fault::broker_says(&refusal));

        let first = talk.ask(ALLOCATE).await;
        let launched = site.agent.faults.heard("launch-session").len();
        let second = talk.ask(ALLOCATE).await;

        assert_eq!((first, launched), (client(&refusal), granted));
        assert!(second.contains("ALLOC_SUCCESSFUL"), "{second}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_gateway_that_is_away_is_told() {
    let mut site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    site.stop_gateway().await;

    let answer = talk.ask(ALLOCATE).await;

    assert_eq!(answer, error_6612("Security Gateway is enabled but does not respond"));
    let [(class, message)] = &warnings(&site)[..] else { panic!("{:?}", warnings(&site)) };
    assert_eq!(class, "PCoIPSecurityGatewayConnection");
    let start = "The gateway did not accept the session gateway=127.0.0.1 error=";
    assert!(message.starts_with(start), "{message}");
    assert!(talk.ask(BYE).await.contains("<bye-resp />"));
    site.stop().await;
}
