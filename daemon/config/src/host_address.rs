//! The name and address by which clients reach a host: at most one of each.

use std::net::IpAddr;

use crate::values::Host;

/// The key `HostAddress` of a Connection Manager. If both are `None`, the host's own name and
/// address are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAddress {
    /// The DNS name, without a final dot.
    pub name: Option<Host>,
    /// The IP address, IPv4 or IPv6.
    pub address: Option<IpAddr>,
}

/// More than one name, or more than one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has more than one name or more than one IP address")]
pub struct Several;

impl HostAddress {
    /// Separates names from addresses.
    ///
    /// # Errors
    ///
    /// [`Several`] if there is more than one name or more than one address.
    pub fn of(hosts: &[Host]) -> Result<Self, Several> {
        let mut own = Self::default();
        for host in hosts {
            let is_second = match address(host) {
                Some(address) => own.address.replace(address).is_some(),
                None => own.name.replace(host.without_final_dot()).is_some(),
            };
            if is_second {
                return Err(Several);
            }
        }
        Ok(own)
    }

    /// The name or address to use in a reply to a client that contacted the host as `by`: `by`
    /// itself if it is listed, else the name, else the address.
    #[must_use]
    pub fn called(&self, by: Host) -> Host {
        let as_host = |address: IpAddr| address.to_string().parse::<Host>().ok();
        let own_address = self.address.and_then(as_host);
        let is_own = self.address.is_some() && address(&by) == self.address;
        let first = if is_own { &own_address } else { &self.name };
        first.clone().or(own_address).unwrap_or(by)
    }
}

fn address(host: &Host) -> Option<IpAddr> {
    host.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hosts: &[&str]) -> Result<HostAddress, Several> {
        let hosts: Vec<_> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        HostAddress::of(&hosts)
    }

    #[test]
    fn one_name_and_one_address_are_separated() {
        let (name, address) = ("cm.example".parse().unwrap(), "192.0.2.4".parse().unwrap());
        let both = HostAddress { name: Some(name), address: Some(address) };

        assert_eq!(of(&["192.0.2.4", "cm.example."]), Ok(both));
        assert_eq!(of(&[]), Ok(HostAddress::default()));
        assert_eq!(of(&["a.example", "b.example"]), Err(Several));
        assert_eq!(of(&["192.0.2.4", "2001:db8::1"]), Err(Several));
    }

    #[test]
    fn a_host_is_called_by_its_name_unless_its_address_was_used() {
        let table: [(&[&str], &str, &str); 8] = [
            (&[], "any.example", "any.example"),
            (&["cm.example"], "any.example", "cm.example"),
            (&["cm.example"], "CM.example", "cm.example"),
            (&["cm.example"], "192.0.2.4", "cm.example"),
            (&["cm.example", "192.0.2.4"], "192.0.2.4", "192.0.2.4"),
            (&["cm.example", "192.0.2.4"], "192.0.2.5", "cm.example"),
            (&["192.0.2.4"], "any.example", "192.0.2.4"),
            (&["2001:DB8::1"], "any.example", "[2001:db8::1]"),
        ];
        for (own, by, called) in table {
            let called_so = of(own).unwrap().called(by.parse().unwrap());

            assert_eq!(called_so.to_string(), called, "{own:?} {by}");
        }
    }
}
