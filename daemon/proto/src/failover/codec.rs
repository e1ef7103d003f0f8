//! The binary form of frames (`docs/protocol/peers.md`). All numbers are big-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    AgentFlow, BootId, Claim, ClientFlow, Content, Flows, Frame, GatewayId, Grant, Position,
    Statement, Term,
};
use crate::{
    SessionKey,
    gateway::{Slot, Spi, canonical},
};

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The version of the format is unknown.
    #[error("version {0} of the peers' protocol is not supported")]
    Version(u8),
    /// The bytes end too early.
    #[error("the frame is truncated")]
    Truncated,
    /// There are bytes after the end.
    #[error("the frame has bytes after its end")]
    Trailing,
    /// A value is not defined, or larger than allowed.
    #[error("the frame contains an invalid value")]
    Invalid,
    /// There are more statements than allowed.
    #[error("the frame has more than {0} statements")]
    TooMany(usize),
}

const VERSION: u8 = 1;

const HEARTBEAT: u8 = 0;
const BATCH: u8 = 1;
const RESYNC: u8 = 2;
const SNAPSHOT: u8 = 3;

const GRANT: u8 = 1;
const SERVING: u8 = 2;
const FLOWS: u8 = 3;
const ENDED: u8 = 4;
const KNOWN: u8 = 5;

const V4: u8 = 4;
const V6: u8 = 6;

impl Frame {
    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let kind = match &self.content {
            Content::Heartbeat(_) => HEARTBEAT,
            Content::Batch(_) => BATCH,
            Content::Resync { .. } => RESYNC,
            Content::Snapshot { .. } => SNAPSHOT,
        };
        out.extend([VERSION, kind]);
        out.extend(self.boot.0.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        match &self.content {
            Content::Heartbeat(is_ready) => out.push(u8::from(*is_ready)),
            Content::Batch(statements) => statements.iter().for_each(|it| it.encode(&mut out)),
            Content::Resync { number, received } => {
                out.extend(number.to_be_bytes());
                out.push(u8::from(received.is_some()));
                if let Some(Position { boot, sequence }) = received {
                    out.extend(boot.0.to_be_bytes());
                    out.extend(sequence.to_be_bytes());
                }
            }
            Content::Snapshot { to, number, statements } => {
                out.extend(to.0.to_be_bytes());
                out.extend(number.to_be_bytes());
                statements.iter().for_each(|it| it.encode(&mut out));
            }
        }
        out
    }

    /// Parses the binary form. `grant` verifies the token of a grant; grants that it refuses are
    /// left out. A statement takes several times as much memory as on the wire, so `max_statements`
    /// limits them, including refused grants.
    ///
    /// # Errors
    ///
    /// [`Malformed`] by variant.
    pub fn decode(
        bytes: &[u8],
        max_statements: usize,
        grant: impl FnMut(&str) -> Option<Grant>,
    ) -> Result<Self, Malformed> {
        let mut input = Input(bytes);
        match input.u8()? {
            VERSION => {}
            version => return Err(Malformed::Version(version)),
        }
        let kind = input.u8()?;
        let (boot, sequence) = (BootId(input.u64()?), input.u64()?);
        let content = match kind {
            HEARTBEAT => Content::Heartbeat(input.flag()?),
            BATCH => Content::Batch(input.statements(max_statements, grant)?),
            RESYNC => {
                let number = input.u64()?;
                let received = match input.flag()? {
                    true => {
                        let boot = BootId(input.u64()?);
                        Some(Position { boot, sequence: input.u64()? })
                    }
                    false => None,
                };
                Content::Resync { number, received }
            }
            SNAPSHOT => {
                let (to, number) = (BootId(input.u64()?), input.u64()?);
                let statements = input.statements(max_statements, grant)?;
                Content::Snapshot { to, number, statements }
            }
            _ => return Err(Malformed::Invalid),
        };
        match input.0 {
            [] => Ok(Self { boot, sequence, content }),
            _ => Err(Malformed::Trailing),
        }
    }
}

impl Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Grant(grant) => {
                // Its verifier has checked the length.
                let length = u16::try_from(grant.token.len()).unwrap_or_default();
                out.push(GRANT);
                out.extend(length.to_be_bytes());
                out.extend(&grant.token.as_bytes()[..usize::from(length)]);
            }
            Self::Serving { key, term, is_silent } => {
                out.push(SERVING);
                out.extend(key.bytes());
                out.extend(term.0.to_be_bytes());
                out.push(u8::from(*is_silent));
            }
            Self::Flows { key, term, flows } => {
                out.push(FLOWS);
                out.extend(key.bytes());
                out.extend(term.0.to_be_bytes());
                flows.encode(out);
            }
            Self::Ended { key, term } => {
                out.push(ENDED);
                out.extend(key.bytes());
                out.extend(term.0.to_be_bytes());
            }
            Self::Known { key, claim, flows } => {
                out.push(KNOWN);
                out.extend(key.bytes());
                out.extend(claim.term.0.to_be_bytes());
                out.extend(claim.gateway.0.to_be_bytes());
                flows.encode(out);
            }
        }
    }
}

impl Flows {
    fn encode(&self, out: &mut Vec<u8>) {
        const MAX: usize = Slot::FLOWS as usize;
        let client = &self.client[..self.client.len().min(MAX)];
        out.push(u8::try_from(client.len()).unwrap_or_default());
        for ClientFlow { from, spi, to } in client {
            address(*from, out);
            out.extend(spi.bytes());
            address(*to, out);
        }
        let agent = &self.agent[..self.agent.len().min(MAX)];
        out.push(u8::try_from(agent.len()).unwrap_or_default());
        for AgentFlow { from, spi } in agent {
            address(*from, out);
            out.extend(spi.bytes());
        }
    }
}

fn address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(V4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(V6);
            out.extend(ip.octets());
        }
    }
    out.extend(address.port().to_be_bytes());
}

/// The bytes that have not been parsed yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Invalid),
        }
    }

    /// The statements up to the end.
    fn statements(
        &mut self,
        max: usize,
        mut grant: impl FnMut(&str) -> Option<Grant>,
    ) -> Result<Vec<Statement>, Malformed> {
        let mut statements = Vec::new();
        let mut count = 0;
        while !self.0.is_empty() {
            if count == max {
                return Err(Malformed::TooMany(max));
            }
            count += 1;
            statements.extend(self.statement(&mut grant)?);
        }
        Ok(statements)
    }

    fn statement(
        &mut self,
        grant: impl FnOnce(&str) -> Option<Grant>,
    ) -> Result<Option<Statement>, Malformed> {
        let kind = self.u8()?;
        if kind == GRANT {
            let length = self.u16()?;
            let token = self.bytes(usize::from(length))?;
            let token = str::from_utf8(token).map_err(|_| Malformed::Invalid)?;
            return Ok(grant(token).map(Statement::Grant));
        }
        let (key, term) = (SessionKey::from_random(self.array()?), Term(self.u64()?));
        Ok(Some(match kind {
            SERVING => Statement::Serving { key, term, is_silent: self.flag()? },
            FLOWS => Statement::Flows { key, term, flows: self.flows()? },
            ENDED => Statement::Ended { key, term },
            KNOWN => {
                let claim = Claim { term, gateway: GatewayId(self.u16()?) };
                Statement::Known { key, claim, flows: self.flows()? }
            }
            _ => return Err(Malformed::Invalid),
        }))
    }

    fn flows(&mut self) -> Result<Flows, Malformed> {
        let mut flows = Flows::default();
        for _ in 0..self.flow_count()? {
            let (from, spi, to) = (self.address()?, self.spi()?, self.address()?);
            flows.client.push(ClientFlow { from, spi, to });
        }
        for _ in 0..self.flow_count()? {
            flows.agent.push(AgentFlow { from: self.address()?, spi: self.spi()? });
        }
        Ok(flows)
    }

    fn flow_count(&mut self) -> Result<u8, Malformed> {
        let count = self.u8()?;
        if u32::from(count) > Slot::FLOWS { Err(Malformed::Invalid) } else { Ok(count) }
    }

    fn spi(&mut self) -> Result<Spi, Malformed> {
        Ok(Spi::from_bytes(self.array()?))
    }

    fn address(&mut self) -> Result<SocketAddr, Malformed> {
        let ip = match self.u8()? {
            V4 => IpAddr::from(Ipv4Addr::from(self.array::<4>()?)),
            V6 => IpAddr::from(Ipv6Addr::from(self.array::<16>()?)),
            _ => return Err(Malformed::Invalid),
        };
        Ok(canonical(SocketAddr::new(ip, self.u16()?)))
    }
}
