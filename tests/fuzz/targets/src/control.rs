//! Announcements and responses are parsed as rendered.

use cmsg_proto::{
    SessionKey, SessionTag,
    control::{AddConnection, Reply},
};

use crate::{input::Input, tree::representable};

/// Reads bytes as both messages, and as the values of both.
pub fn run(data: &[u8]) {
    if let Ok(asked) = AddConnection::parse(data) {
        assert!(asked.agent.port() != 0);
        assert_eq!(asked.agent.ip(), asked.agent.ip().to_canonical());
        survives(&asked);
    }
    if let Ok(reply) = Reply::parse(data) {
        replied(&reply);
    }
    let input = &mut Input::new(data);
    let (agent, id) = (input.socket(), u64::from(input.short()));
    let text = input.rest();
    let text = String::from_utf8_lossy(text);
    if let Ok(tag) = SessionTag::parse(&text) {
        let connection_id = format!("0b1c2d3e-0000-4000-8000-{id:012x}");
        let connection_id = connection_id.parse().expect("it has the shape");
        survives(&AddConnection {
            agent,
            hostname: text.parse().ok(),
            tag: tag.clone(),
            connection_id,
            session_key: (id % 2 == 0).then(|| SessionKey::from_random([id.to_le_bytes()[0]; 16])),
        });
        replied(&Reply::Accepted { rtag: tag, sg_sni: "gateway.example".to_owned() });
    }
    replied(&Reply::Refused { reason: text.into_owned() });
}

fn survives(asked: &AddConnection) {
    let sent = asked.render();
    let read = AddConnection::parse(sent.as_bytes()).expect("what we write is read");
    assert_eq!(read.agent.ip(), asked.agent.ip().to_canonical());
    assert_eq!(read.agent.port(), asked.agent.port());
    assert_eq!(read.tag.expose(), asked.tag.expose());
    assert_eq!(read.hostname, asked.hostname);
    assert_eq!(read.connection_id, asked.connection_id);
    assert_eq!(read.session_key, asked.session_key);
}

fn replied(reply: &Reply) {
    match (reply, Reply::parse(reply.render().as_bytes())) {
        (Reply::Accepted { rtag, sg_sni }, Ok(Reply::Accepted { rtag: tag, sg_sni: sni })) => {
            assert_eq!((rtag.expose(), sg_sni), (tag.expose(), &sni));
        }
        (Reply::Refused { reason: told }, Ok(Reply::Refused { reason: read })) => {
            let told = representable(told);
            let told = Some(told.trim_matches([' ', '\t', '\r', '\n'])).filter(|t| !t.is_empty());
            assert_eq!(read, told.unwrap_or("refused").chars().take(200).collect::<String>());
        }
        // A reason may be longer than the maximum message.
        (Reply::Refused { reason }, Err(_)) if reason.len() > 4096 => {}
        (_, read) => panic!("{reply:?} is read as {read:?}"),
    }
}
