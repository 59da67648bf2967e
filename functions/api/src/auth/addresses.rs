//! Networks from which an API key may be used, and whether an address is in one of them.

use std::net::IpAddr;

use ipnet::IpNet;

/// Parses a network in CIDR notation, such as `203.0.113.0/24`, or one address.
pub fn parse(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(network.trunc())
}

/// Returns whether a key with these networks (separated by spaces; `None`: any) may be used from an
/// address. A gateway may write an IPv4 address as an IPv6 address.
pub fn allow(networks: Option<&str>, address: &str) -> bool {
    let Some(networks) = networks else {
        return true;
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let address = address.to_canonical();
    networks
        .split(' ')
        .filter_map(parse)
        .any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_be_in_one_of_the_networks() {
        let networks = Some("203.0.113.0/24 2001:db8::/32 198.51.100.7/32");
        for (address, allowed) in [
            ("203.0.113.9", true),
            ("203.0.114.9", false),
            ("::ffff:203.0.113.9", true),
            ("2001:db8:1::5", true),
            ("2001:db9::5", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("unknown", false),
            ("", false),
        ] {
            assert_eq!(allow(networks, address), allowed, "{address}");
        }
        assert!(allow(None, "unknown"));
        assert!(!allow(Some(""), "203.0.113.9"));
    }

    #[test]
    fn a_network_is_stored_without_the_bits_of_a_host() {
        for (text, network) in [
            ("203.0.113.9/24", Some("203.0.113.0/24")),
            ("203.0.113.9", Some("203.0.113.9/32")),
            ("2001:DB8::1", Some("2001:db8::1/128")),
            ("203.0.113.0/33", None),
            ("example.org", None),
        ] {
            assert_eq!(
                parse(text).map(|network| network.to_string()).as_deref(),
                network
            );
        }
    }
}
