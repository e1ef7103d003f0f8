//! A faulty proxy between an engine and a registry.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use e2e::machine::Machine;

/// Relays connections in the network of a machine.
pub(crate) struct Proxy {
    at: SocketAddr,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
    /// The next connection breaks after this many bytes of a response; 0 for never.
    breaks: AtomicU64,
    /// Every connection stalls after this many bytes; 0 for never.
    stalls: AtomicU64,
    broken: AtomicU64,
}

impl Proxy {
    pub(crate) fn start(machine: &Machine, to: &'static str) -> Self {
        let listener = machine.in_network(|| TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port can be bound");
        let at = listener.local_addr().expect("it is bound");
        let rules = Arc::new(Rules::default());
        let held = Arc::clone(&rules);
        // Connections to the registry also start inside; the thread ends with the test.
        machine.in_network(|| {
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    let Ok(server) = TcpStream::connect(to) else { continue };
                    let rules = Arc::clone(&held);
                    thread::spawn(move || relay(client, server, &rules));
                }
            });
        });
        Self { at, rules }
    }

    /// As a registry's name.
    pub(crate) fn address(&self) -> String {
        self.at.to_string()
    }

    /// Makes the next connection break after this many bytes to the engine.
    pub(crate) fn break_next_after(&self, bytes: u64) {
        self.rules.breaks.store(bytes, SeqCst);
    }

    /// Makes every connection stall after this many bytes to the engine.
    pub(crate) fn stall_after(&self, bytes: u64) {
        self.rules.stalls.store(bytes, SeqCst);
    }

    /// How many connections were broken.
    pub(crate) fn broken(&self) -> u64 {
        self.rules.broken.load(SeqCst)
    }
}

fn relay(mut client: TcpStream, mut server: TcpStream, rules: &Rules) {
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let asking = thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut carried, mut bytes) = (0, [0; 16 * 1024]);
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        if client.write_all(&bytes[..count]).is_err() {
            break;
        }
        carried += count as u64;
        let breaks = rules.breaks.load(SeqCst);
        if breaks > 0
            && carried > breaks
            && rules.breaks.compare_exchange(breaks, 0, SeqCst, SeqCst).is_ok()
        {
            rules.broken.fetch_add(1, SeqCst);
            break;
        }
        let stalls = rules.stalls.load(SeqCst);
        if stalls > 0 && carried > stalls {
            // Waits until the engine closes the connection.
            let _ = asking.join();
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
