//! A broker that hangs is known to hang: clients do not wait for it one after the other.

use std::{sync::atomic::Ordering::SeqCst, time::Instant};

use super::{HELLO, agent, broker, brokers::Moody, request, world::World};

#[tokio::test]
async fn a_broker_that_hangs_is_tried_by_one_request_and_the_others_are_answered_at_once() {
    let moody = Moody::start().await;
    let conf = format!("BrokerMaxRespWaitSeconds = 2\n{}", moody.conf());
    let world = World::with(&conf, broker, agent).await;
    let hello = async || world.post(None, &request(HELLO)).await.1;
    moody.hangs.store(true, SeqCst);

    for content in <[String; 3]>::from(tokio::join!(hello(), hello(), hello())) {
        assert!(content.contains("Timed out communicating with broker"), "{content}");
    }
    let begun = Instant::now();
    let others = async {
        moody.has_heard(4).await;
        let asked = Instant::now();
        for _ in 0..5 {
            let content = hello().await;
            assert!(content.contains("Error 6608"), "{content}");
        }
        (asked.duration_since(begun), begun.elapsed())
    };
    let (tried, (asked, answered)) = tokio::join!(hello(), others);

    assert!(tried.contains("Error 6608"), "{tried}");
    assert!(answered < begun.elapsed(), "before the request that tried it: {asked:?}");
    assert_eq!(moody.heard.lock().unwrap().len(), 4, "only one request reached the broker");
    moody.hangs.store(false, SeqCst);
    assert!(hello().await.contains("<hello-resp>"));
    let [first, second] = <[String; 2]>::from(tokio::join!(hello(), hello()));
    assert!(first.contains("<hello-resp>") && second.contains("<hello-resp>"));
}
