//! More connections than there are places.

use cmsg_config::socket::Status;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    HELLO, agent, broker, request, told,
    world::{WAIT, World},
};

const CONF: &str = "SecurityGatewayEnabled = false\nMaxConnections = 1\nTlsHandshakeSeconds = 60";

/// How many connections beyond the places one address may have.
const BESIDE_OF_ONE: usize = 16;

async fn silent(world: &World) -> TcpStream {
    TcpStream::connect(world.address()).await.unwrap()
}

async fn crowded(world: &World) -> u64 {
    told::<Status>(world, "/status").await.unserved.unwrap().crowded
}

#[tokio::test]
async fn while_all_places_are_taken_health_is_answered_and_others_are_told() {
    let world = World::with(CONF, broker, agent).await;
    let first = silent(&world).await;

    let (head, content) = world.http("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(content, r#"{"code":200,"status":"success"}"#);
    assert_eq!(crowded(&world).await, 0);
    let (head, _) = world.http("HEAD /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");

    for (number, what) in (1..).zip(["POST /pcoip-broker/xml", "POST /health", "GET /"]) {
        let (head, _) = world.http(what, "Content-Type: text/xml\r\n", &request(HELLO)).await;
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert_eq!(crowded(&world).await, number);
    }

    drop(first);
    let has_a_place =
        async { while !world.post(None, &request(HELLO)).await.0.starts_with("HTTP/1.1 200 ") {} };
    timeout(WAIT, has_a_place).await.unwrap();
}

#[tokio::test]
async fn who_holds_all_that_is_left_keeps_no_other_from_its_answer_and_is_left_soon() {
    let world = World::with(CONF, broker, agent).await;
    let _first = silent(&world).await;
    let mut held = Vec::new();
    for _ in 0..BESIDE_OF_ONE {
        held.push(silent(&world).await);
    }

    let mut one_more = silent(&world).await;
    let ended = timeout(WAIT, one_more.read(&mut [0; 1])).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    assert_eq!(crowded(&world).await, 1);

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let balancer = socket.connect(world.address()).await.unwrap();
    let (head, _) = world.http_over(balancer, "GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");

    for mut stream in held {
        assert_eq!(timeout(WAIT, stream.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    }
    let (head, _) = world.http("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}
