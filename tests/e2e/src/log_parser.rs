//! Finds sessions in the Connection Manager's log by the rules of public parsers: lines are split
//! at each space, documents at each colon, and reading ends at a line of 64 KiB. Shares no code
//! with the product.

use std::{collections::BTreeMap, ops::ControlFlow};

use quick_xml::{Reader, escape::resolve_xml_entity, events::Event};

/// A session as a parser reports it; fields that were not found are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// When the agent launched it.
    pub connected: String,
    pub status: String,
    /// When the gateway closed it.
    pub ended: String,
    pub user: String,
    pub host: String,
    pub host_address: String,
    pub client: String,
    /// The client's address as it sees itself.
    pub client_address: String,
    /// The Connection Manager's name.
    pub manager: String,
    /// How long each exchange took in milliseconds: request, response, duration.
    pub exchanges: Vec<(String, String, u64)>,
}

/// Every session of a log by its session log id.
#[must_use]
pub fn sessions(log: &str) -> BTreeMap<String, Session> {
    let mut sessions = BTreeMap::new();
    for line in log.lines().take_while(|line| line.len() < MAX_TOKEN).filter_map(Line::split) {
        let session: &mut Session = sessions.entry(line.session.to_owned()).or_default();
        session.take(&line);
    }
    sessions
}

/// The longest line that a line scanner accepts.
const MAX_TOKEN: usize = 64 * 1024;

struct Line<'a> {
    time: &'a str,
    session: &'a str,
    class: &'a str,
    message: String,
}

impl<'a> Line<'a> {
    /// Splits at each single space: a level with four letters is padded, so its line has no class.
    fn split(line: &'a str) -> Option<Self> {
        let parts: Vec<_> = line.split(' ').collect();
        let [time, session, _number, _connection, _level, class, rest @ ..] = &parts[..] else {
            return None;
        };
        let is_session = session.matches('-').count() >= 3;
        let message = rest.join(" ").trim().to_owned();
        is_session.then_some(Self { time, session, class, message })
    }

    fn is(&self, class: &str, headline: &str) -> bool {
        self.class == class && self.message.contains(headline)
    }

    /// The document after the headline, without its colons.
    fn document(&self) -> String {
        self.message.split(':').skip(2).collect::<String>().trim().to_owned()
    }

    /// The text of the element at that path in the document.
    fn text(&self, path: &str) -> String {
        text(&self.document(), path)
    }
}

impl Session {
    fn take(&mut self, line: &Line<'_>) {
        if line.is("PCoIPBrokerHttpsConnectionImpl", "Sending request to PCoIP broker (hello)") {
            self.manager = line.text("pcoip-broker/hello/pcm-info/hostname");
        }
        if line.is("PCoIPAgent", "Sending request to PCoIP Agent") {
            let launch = |path: &str| line.text(&format!("pcoip-agent/launch-session/{path}"));
            self.host = launch("hostname");
            self.host_address = launch("ip-address");
            self.user = launch("logon/username");
            self.client = launch("client-name");
            self.client_address = launch("client-ip");
        }
        if line.is("PCoIPAgent", "Received response from PCoIP Agent") {
            self.status = line.text("pcoip-agent/launch-session-resp/result-id");
            if self.status == "SUCCESSFUL" {
                line.time.clone_into(&mut self.connected);
            }
        }
        if line.is("PCoIPSecurityGatewayConnection", "connection-closed") {
            line.time.clone_into(&mut self.ended);
        }
        if line.class == "PCoIPConnectionManagerPBPServlet" {
            self.exchanges.extend(exchange(&line.message));
        }
    }
}

/// Reads `: Processing request (x) / response (x-resp) took: 12ms`.
fn exchange(message: &str) -> Option<(String, String, u64)> {
    let rest = message.strip_prefix(": Processing request (")?;
    let (request, rest) = rest.split_once(") / response (")?;
    let (response, rest) = rest.split_once(") took: ")?;
    let took = rest.strip_suffix("ms")?.parse().ok()?;
    Some((request.to_owned(), response.to_owned(), took))
}

/// The text of the first element with this path, as far as the document can be parsed.
fn text(document: &str, path: &str) -> String {
    let mut reader = Reader::from_str(document);
    let (mut open, mut text) = (Vec::new(), String::new());
    loop {
        let event = reader.read_event().unwrap_or(Event::Eof);
        if step(event, path, &mut open, &mut text).is_break() {
            return text;
        }
    }
}

fn step(
    event: Event<'_>,
    path: &str,
    open: &mut Vec<String>,
    text: &mut String,
) -> ControlFlow<()> {
    let is_there = open.join("/") == path;
    match event {
        Event::Start(start) => {
            open.push(start.name().as_ref().to_owned());
        }
        Event::Text(part) if is_there => {
            text.push_str(part.as_ref());
        }
        Event::GeneralRef(name) if is_there => {
            text.push_str(resolve_xml_entity(name.as_ref()).unwrap_or_default());
        }
        Event::End(_) if is_there => return ControlFlow::Break(()),
        Event::End(_) => drop(open.pop()),
        Event::Eof => return ControlFlow::Break(()),
        _ => {}
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b1c2d3e-0000-4000-8000-00000000000a";

    #[test]
    fn a_level_of_four_letters_hides_the_class() {
        let log = |level: &str| {
            format!(
                "2026-01-31T12:00:00.123Z {ID} s=7 c=12 {level:<5} {:<34} : Received response from \
                 PCoIP Agent: <pcoip-agent><launch-session-resp><result-id>SUCCESSFUL</result-id>\
                 </launch-session-resp></pcoip-agent>",
                "PCoIPAgent"
            )
        };

        assert_eq!(sessions(&log("TRACE"))[ID].connected, "2026-01-31T12:00:00.123Z");
        assert_eq!(sessions(&log("INFO"))[ID], Session::default());
    }
}
