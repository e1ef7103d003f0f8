use std::{net::UdpSocket as Plain, time::Duration};

use cmsg_proto::gateway::{Side, Slot};

use super::*;

/// Sends to a client at an address, from a local address. Returns the source address that the
/// client sees.
async fn sender(listen: &str, client: &str, from: Option<&str>) -> IpAddr {
    let client = Plain::bind(client).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let datagrams = Datagrams::bind(listen.parse().unwrap()).unwrap();
    datagrams.writable().await.unwrap();
    let destination = Destination {
        to: client.local_addr().unwrap(),
        from: from.map(|from| from.parse().unwrap()),
        flow: Slot(0).flows(Side::Agent).next().unwrap(),
    };

    assert_eq!(datagrams.send(b"datagram", destination, 0).unwrap(), 8);

    let mut buffer = [0; 16];
    let (length, sender) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"datagram");
    sender.ip()
}

#[tokio::test]
async fn a_datagram_is_sent_from_the_address_that_the_client_knows() {
    let client = "127.0.0.1:0";
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let usual = sender(listen, client, None).await;
        let seen = sender(listen, client, Some("127.0.0.9")).await;

        assert_eq!((usual.to_string(), seen.to_string()), ("127.0.0.1".into(), "127.0.0.9".into()));
    }
    assert_eq!(sender("[::]:0", "[::1]:0", Some("::1")).await.to_string(), "::1");
}

#[tokio::test]
async fn only_a_source_address_that_the_system_would_not_choose_is_stored() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (called, remembered) in [("127.0.0.1", None), ("127.0.0.9", Some("127.0.0.9"))] {
        let called = format!("{called}:{port}").parse().unwrap();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (client, accepted) = tokio::join!(socket.connect(called), listener.accept());
        let (_client, (stream, peer)) = (client.unwrap(), accepted.unwrap());

        assert_eq!(seen_at(&stream, peer), remembered.map(|at| at.parse().unwrap()));
    }
}

#[tokio::test]
async fn a_datagram_keeps_its_type_of_service() {
    // AF41 with both ECN bits.
    const TOS: u8 = 0x8b;
    for (listen, to) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let receiver = Datagrams::bind(listen.parse().unwrap()).unwrap();
        let sender = Datagrams::bind(listen.parse().unwrap()).unwrap();
        let to: IpAddr = to.parse().unwrap();
        for (from, tos) in [(None, TOS), (Some(to), TOS), (Some(to), 0), (None, 0)] {
            let destination = Destination {
                to: SocketAddr::new(to, receiver.address().unwrap().port()),
                from,
                flow: Slot(0).flows(Side::Agent).next().unwrap(),
            };
            sender.writable().await.unwrap();
            sender.send(b"datagram", destination, tos).unwrap();
            receiver.readable().await.unwrap();

            let received = receiver.receive(&mut [0; 16], &mut control_room()).unwrap();

            let from = SocketAddr::new(to, sender.address().unwrap().port());
            assert_eq!(received, Received { length: 8, from, tos }, "{listen}");
        }
    }
}
