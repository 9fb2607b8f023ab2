//! Addresses of the broker as clients are told them.

use super::invalid::Invalid;
use crate::config::HostPort;
use sluice_proto::v2::{self, AddressScheme};
use std::net::{IpAddr, SocketAddr};

/// The address that a route names: the advertised one; else the one the client says it used; else our end of its
/// connection. The unspecified address never, for nobody else could use it.
pub fn for_route(
    advertised: Option<&v2::Endpoints>,
    used: Option<&v2::Endpoints>,
    local: Option<SocketAddr>,
) -> Result<v2::Endpoints, Invalid> {
    let used = used.map(check).transpose()?.flatten();
    if let Some(advertised) = advertised {
        return Ok(advertised.clone());
    }
    let local = local.map(|address| of_ip(address.ip().to_canonical(), address.port()));
    used.cloned().or(local).ok_or(Invalid::Endpoints("it is missing"))
}

/// An advertised address.
pub fn of(address: &HostPort) -> v2::Endpoints {
    match address.host.parse() {
        Ok(ip) => of_ip(ip, address.port),
        Err(_) => single(AddressScheme::DomainName, address.host.clone(), address.port),
    }
}

fn of_ip(ip: IpAddr, port: u16) -> v2::Endpoints {
    let scheme = if ip.is_ipv4() {
        AddressScheme::IPv4
    } else {
        AddressScheme::IPv6
    };
    single(scheme, ip.to_string(), port)
}

fn single(scheme: AddressScheme, host: String, port: u16) -> v2::Endpoints {
    v2::Endpoints {
        scheme: scheme.into(),
        addresses: vec![v2::Address {
            host,
            port: i32::from(port),
        }],
    }
}

/// What a client gave, if it is of use to it: `None` if it is empty or names an unspecified address.
fn check(given: &v2::Endpoints) -> Result<Option<&v2::Endpoints>, Invalid> {
    if given.addresses.is_empty() {
        return Ok(None);
    }
    let refuse = |reason| Err(Invalid::Endpoints(reason));
    if given
        .addresses
        .iter()
        .any(|address| address.host.trim().is_empty())
    {
        return refuse("an address has no host");
    }
    if given
        .addresses
        .iter()
        .any(|address| !(1..=65535).contains(&address.port))
    {
        return refuse("an address has no port from 1 to 65535");
    }
    match AddressScheme::try_from(given.scheme) {
        Ok(AddressScheme::DomainName) if given.addresses.len() > 1 => {
            return refuse("several addresses are of the scheme DOMAIN_NAME");
        }
        Ok(AddressScheme::IPv4 | AddressScheme::IPv6 | AddressScheme::DomainName) => {}
        Ok(AddressScheme::Unspecified) | Err(_) => return refuse("its scheme is not known"),
    }
    let unspecified =
        |address: &v2::Address| address.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    Ok((!given.addresses.iter().any(unspecified)).then_some(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(scheme: AddressScheme, hosts: &[(&str, i32)]) -> v2::Endpoints {
        let address = |(host, port): &(&str, i32)| v2::Address {
            host: (*host).to_owned(),
            port: *port,
        };
        v2::Endpoints {
            scheme: scheme.into(),
            addresses: hosts.iter().map(address).collect(),
        }
    }

    fn local() -> Option<SocketAddr> {
        Some("10.0.0.2:8081".parse().unwrap())
    }

    #[test]
    fn an_advertised_address_goes_before_all_others() {
        for (host, scheme) in [
            ("b.test", AddressScheme::DomainName),
            ("10.1.1.1", AddressScheme::IPv4),
            ("::5", AddressScheme::IPv6),
        ] {
            let advertised = of(&HostPort {
                host: host.into(),
                port: 9,
            });
            let used = endpoints(AddressScheme::IPv4, &[("1.1.1.1", 1)]);
            let told = for_route(Some(&advertised), Some(&used), local()).unwrap();
            assert_eq!(told, endpoints(scheme, &[(host, 9)]));
        }
    }

    #[test]
    fn a_route_echoes_what_the_client_used() {
        let used = endpoints(AddressScheme::IPv4, &[("1.1.1.1", 1), ("2.2.2.2", 2)]);
        assert_eq!(for_route(None, Some(&used), local()), Ok(used));
    }

    #[test]
    fn without_an_address_of_use_it_is_that_of_the_connection() {
        let expected = endpoints(AddressScheme::IPv4, &[("10.0.0.2", 8081)]);
        let useless = [
            None,
            Some(v2::Endpoints::default()),
            Some(endpoints(AddressScheme::IPv4, &[("0.0.0.0", 8081)])),
            Some(endpoints(AddressScheme::IPv6, &[("::", 8081)])),
        ];
        for used in useless {
            assert_eq!(
                for_route(None, used.as_ref(), local()),
                Ok(expected.clone()),
                "{used:?}"
            );
        }
        let mapped = Some("[::ffff:10.0.0.2]:8081".parse().unwrap());
        assert_eq!(for_route(None, None, mapped), Ok(expected));
        assert!(for_route(None, None, None).is_err());
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for used in [
            endpoints(AddressScheme::Unspecified, &[("a", 1)]),
            endpoints(AddressScheme::DomainName, &[("a", 1), ("b", 1)]),
            endpoints(AddressScheme::DomainName, &[(" ", 1)]),
            endpoints(AddressScheme::IPv4, &[("1.1.1.1", 0)]),
            endpoints(AddressScheme::IPv4, &[("1.1.1.1", 65536)]),
        ] {
            assert!(
                matches!(for_route(None, Some(&used), local()), Err(Invalid::Endpoints(_))),
                "{used:?}"
            );
        }
    }
}
