//! Which announcements are accepted.

use jsonwebtoken::{Algorithm, Header};
use rcgen::{KeyPair, PKCS_RSA_SHA256};

use crate::{
    agents::Agent,
    client::{Client, hello},
    tokens::Token,
    world::{Announced, Answer, World},
};

fn announced() -> Announced {
    Announced::new(1, "127.0.0.1:4172".parse().expect("it is an address"))
}

/// Invalid tokens: the problem, the token, and the response.
fn wrong_tokens(announced: &Announced, key: &KeyPair) -> Vec<(&'static str, String, &'static str)> {
    let token = || Token::for_this(announced);
    let (stranger, rsa) = (
        KeyPair::generate().expect("a key can be made"),
        KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key can be made"),
    );
    let unknown = "the token is not signed with a known key";
    let expired = "the token has expired: it was signed 9";
    let other = "the token is for another announcement";
    vec![
        ("another key", token().signed(&stranger), unknown),
        (
            "the public key as a secret",
            token().signed_as(&Header::new(Algorithm::HS256), key),
            unknown,
        ),
        (
            "an RSA key where a P-256 key is known",
            token().signed_as(&Header::new(Algorithm::RS256), &rsa),
            unknown,
        ),
        ("no signature", token().unsigned(key), "reading the token"),
        ("no token at all", "a.b.c".to_owned(), "reading the token"),
        ("too long", "x".repeat(5000), "the token is longer than 4096 bytes"),
        ("expired", token().shifted(-95).signed(key), expired),
        (
            "not yet valid",
            token().shifted(40).signed(key),
            "the token is not valid yet: it was signed ",
        ),
        (
            "valid for too long",
            token().with("exp", u64::MAX).signed(key),
            "the token is valid for more than 60 seconds",
        ),
        (
            "another gateway",
            token().with("aud", "192.0.2.1").signed(key),
            "the token is for gateway 192.0.2.1",
        ),
        ("another agent", token().with("agent", "127.0.0.1:4173").signed(key), other),
        ("another tag", token().with("tag", "00".repeat(32)).signed(key), other),
        (
            "another session",
            token().with("connection", "0b1c2d3e-0000-4000-8000-0000000000ff").signed(key),
            other,
        ),
        ("no id", token().with("jti", "").signed(key), "reading the token"),
    ]
}

#[tokio::test]
async fn a_token_that_does_not_hold_announces_nothing_and_is_told() {
    let world = World::start("").await;
    let announced = announced();
    let table = wrong_tokens(&announced, &world.manager);
    for (number, (what, token, why)) in table.iter().enumerate() {
        let answer = world.post(token, &announced.xml()).await;

        assert_eq!(answer.status, 401, "{what}");
        assert!(answer.body.contains(&format!("<reason>{why}")), "{what}: {}", answer.body);
        let warnings = world.log().matches("WARN").count();
        assert_eq!(warnings, number + 1, "{what}: one warning each");
        let last = world.log().lines().rfind(|line| line.contains("WARN")).unwrap().to_owned();
        assert!(last.contains("Announcement refused") && last.contains(why), "{what}: {last}");
        assert!(!last.contains(&announced.tag) && !last.contains(token.as_str()), "{what}: {last}");
    }

    assert_eq!(world.connections().await, []);
    world.stop().await;
}

#[tokio::test]
async fn the_name_of_the_key_in_a_token_decides_nothing() {
    let world = World::start("").await;
    let announced = announced();
    let header = Header { kid: Some("../other".to_owned()), ..Header::new(Algorithm::ES256) };
    let stranger = KeyPair::generate().unwrap();

    let forged = Token::for_this(&announced).signed_as(&header, &stranger);
    assert_eq!(world.post(&forged, &announced.xml()).await.status, 401);
    let signed = Token::for_this(&announced).signed_as(&header, &world.manager);
    assert_eq!(world.post(&signed, &announced.xml()).await, Answer::accepted(&announced));
    world.stop().await;
}

#[tokio::test]
async fn a_token_is_taken_once_and_after_a_restart_changes_nothing() {
    let keys = "AnnouncedSeconds = 1";
    let world = World::start(keys).await;
    let announced = announced();
    let token = Token::for_this(&announced).signed(&world.manager);
    assert_eq!(world.post(&token, &announced.xml()).await, Answer::accepted(&announced));

    let again = world.post(&token, &announced.xml()).await;
    assert_eq!(again, Answer::refused(401, "the token was used before"));
    world.until_state(&announced, "gone").await;
    let world = world.restart(keys).await;
    let after = world.post(&token, &announced.xml()).await;

    assert_eq!(after, Answer::refused(409, "the session has ended"));
    assert_eq!(world.connections().await, []);
    world.stop().await;
}

#[tokio::test]
async fn the_same_announcement_again_changes_nothing() {
    let world = World::start("MaxConnections = 1").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut client = Client::through(&world, &announced, "spi1").await;

    world.announce(&announced).await;

    client.passes(b"still here").await;
    assert_eq!(world.state(&announced).await, "connected");
    assert_eq!(world.log().matches("Session announced").count(), 1);
    world.stop().await;
}

#[tokio::test]
async fn an_announcement_that_contradicts_a_session_leaves_it_alone() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut client = Client::through(&world, &announced, "spi1").await;
    let elsewhere = "127.0.0.1:9".parse().unwrap();
    let other = Announced::new(2, elsewhere);
    let table = [
        Announced { agent: elsewhere, ..announced.clone() },
        Announced { tag: other.tag.clone(), ..announced.clone() },
        Announced { tag: announced.tag.clone(), ..other },
    ];
    let why = "the announcement contradicts a session that the gateway has";
    for contradiction in table {
        let token = Token::for_this(&contradiction).signed(&world.manager);
        assert_eq!(world.post(&token, &contradiction.xml()).await, Answer::refused(409, why));
    }

    client.passes(b"still here").await;
    world.stop().await;
}

#[tokio::test]
async fn a_message_that_is_no_announcement_is_refused_with_what_is_wrong() {
    let world = World::start("").await;
    let announced = announced();
    let good = announced.xml();
    let no_xml = "the message is not acceptable XML";
    let other = "the message is not an `add-connection` of `pcoip-sg` 1.0";
    let wrong = |element: &str| format!("element `{element}` is missing or malformed");
    let doctype = good.replace("<pcoip-sg ", "<!DOCTYPE x [<!ENTITY e \"e\">]><pcoip-sg ");
    let itself = Announced { agent: world.gateway, ..announced.clone() };
    let table = [
        (String::new(), no_xml.to_owned()),
        ("<".to_owned(), no_xml.to_owned()),
        (good[..good.len() - 3].to_owned(), no_xml.to_owned()),
        (good.clone() + &good, no_xml.to_owned()),
        (doctype, no_xml.to_owned()),
        (good.replace("SCS1", "&unknown;"), no_xml.to_owned()),
        (good.replace("SCS1", "\0"), no_xml.to_owned()),
        ("<x/>".to_owned(), other.to_owned()),
        (good.replace("\"1.0\">", "\"9.9\">"), other.to_owned()),
        (good.replace("add-connection", "drop-connection"), other.to_owned()),
        (good.replace(">127.0.0.1<", ">0.0.0.0<"), wrong("ip-address")),
        (good.replace(">127.0.0.1<", ">ff02::1<"), wrong("ip-address")),
        (good.replace(">127.0.0.1<", ">localhost<"), wrong("ip-address")),
        (good.replace(">4172<", ">65536<"), wrong("tcp-port")),
        (good.replace(&announced.tag, ""), wrong("ctag")),
        (good.replace(&announced.tag, &"x".repeat(4097)), wrong("ctag")),
        (good.replace(&announced.id, "1"), wrong("connection-id")),
    ];
    for (message, why) in table {
        let token = Token::for_this(&announced).signed(&world.manager);
        assert_eq!(world.post(&token, &message).await, Answer::refused(400, &why), "{message}");
    }
    let token = Token::for_this(&itself).signed(&world.manager);
    let answer = world.post(&token, &itself.xml()).await;
    assert_eq!(answer, Answer::refused(400, "the agent's address is the gateway's own"));

    assert_eq!(world.connections().await, []);
    world.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_next_one_taken() {
    let world = World::start("").await;
    let announced = announced();
    let token = Token::for_this(&announced).signed(&world.manager);

    let answer = world.post(&token, &" ".repeat(32 * 1024 + 1)).await;

    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("<result>refused</result>"), "{}", answer.body);
    assert_eq!(world.post(&token, &announced.xml()).await, Answer::accepted(&announced));
    world.stop().await;
}

#[tokio::test]
async fn elements_that_nobody_knows_do_not_matter() {
    let world = World::start("").await;
    let announced = announced();
    let message = announced
        .xml()
        .replace("<ctag>", "<future version=\"2\"><ctag>SCS1other</ctag></future><ctag>")
        .replace("</pcoip-sg>", "<more/></pcoip-sg>");

    let token = Token::for_this(&announced).signed(&world.manager);
    assert_eq!(world.post(&token, &message).await, Answer::accepted(&announced));

    assert_eq!(world.state(&announced).await, "announced");
    world.stop().await;
}

#[tokio::test]
async fn a_full_gateway_says_so_until_a_place_is_free() {
    let world = World::start("MaxConnections = 1\nAnnouncedSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let (first, second) = (announced(), Announced::new(2, agent.address));
    let why = "the session limit of the gateway is reached";
    let refused = async || {
        let token = Token::for_this(&second).signed(&world.manager);
        world.post(&token, &second.xml()).await
    };
    world.announce(&first).await;

    assert_eq!(refused().await, Answer::refused(503, why));
    let status = world.status().await;
    assert_eq!((status.ready, status.reason.as_deref(), status.sessions), (false, Some(why), 1));
    assert!(world.log().contains(&format!("Announcement refused error=\"{why}\"")));

    world.until_state(&first, "gone").await;
    assert!(world.status().await.ready);
    world.announce(&second).await;
    let mut client = Client::connect(&world).await;
    client.passes(&hello(&second, "spi2")).await;
    world.stop().await;
}
