//! Listening sockets that outlive the broker. Whoever starts it, such as systemd with a socket unit, may hold them and hand
//! them over as descriptors from 3 on (`LISTEN_FDS`, sd_listen_fds(3)). While no broker runs, clients that connect wait in the
//! socket's queue instead of being turned away, and a restart is a pause to them and no failure.

use super::ports::Wanted;
use anyhow::{Context as _, bail, ensure};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::RawFd;
use tokio::net::TcpListener;

/// One for each port that a broker has.
const SOCKETS_MAX: RawFd = 3;
/// Those before it are for input, output and errors.
const FIRST: RawFd = 3;
/// How an error ends that is about a descriptor.
const REMEDY: &str = "hand over TCP sockets that listen, and set LISTEN_FDS to their number";

/// Sockets that were handed over and that no port has taken yet.
#[derive(Debug, Default)]
pub struct Sockets(Vec<Held>);

#[derive(Debug)]
struct Held {
    descriptor: RawFd,
    address: SocketAddr,
    socket: std::net::TcpListener,
}

impl Sockets {
    /// Takes what was handed over to this process. To be called once, before there are other threads: `LISTEN_FDS` and
    /// `LISTEN_PID` are gone from the environment then, without which the others of their kind mean nothing.
    pub fn of_this_process() -> anyhow::Result<Self> {
        let variable = |name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(|value| value.to_string_lossy().into_owned())
        };
        let descriptors = handed_over(variable, std::process::id())?;
        let mut handed = ListenFd::from_env();
        let held = descriptors.enumerate().map(|(index, descriptor)| {
            let socket = handed
                .take_tcp_listener(index)
                .and_then(|socket| socket.ok_or_else(|| io::Error::other("it is not there")));
            let socket =
                socket.with_context(|| format!("{} is no TCP socket: {REMEDY}", named(descriptor)))?;
            Held::of(descriptor, socket)
        });
        Self::of(held.collect::<anyhow::Result<_>>()?)
    }

    fn of(held: Vec<Held>) -> anyhow::Result<Self> {
        for (index, one) in held.iter().enumerate() {
            if let Some(other) = held[..index].iter().find(|other| other.address == one.address) {
                bail!(
                    "LISTEN_FDS hands over descriptors {} and {}, which are both sockets at {}, and a port has one: hand over one",
                    other.descriptor,
                    one.descriptor,
                    one.address
                );
            }
        }
        Ok(Self(held))
    }

    /// Whether each has a port that is at its address, to the letter. Clients that connect to another would wait for ever.
    pub(super) fn all_wanted(&self, ports: &[Wanted]) -> anyhow::Result<()> {
        let is_wanted = |held: &Held| ports.iter().any(|port| port.address == held.address);
        let Some(held) = self.0.iter().find(|held| !is_wanted(held)) else {
            return Ok(());
        };
        let ports: Vec<_> = ports
            .iter()
            .map(|port| format!("{} is {}", port.flag, port.address))
            .collect();
        bail!(
            "{} is a socket at {}, and no port is there ({}): give one of them that address, or do not hand the socket over",
            named(held.descriptor),
            held.address,
            ports.join(", ")
        )
    }

    /// The socket at this address: the one that was handed over, or a new one.
    pub(super) async fn listen(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        match self.0.iter().position(|held| held.address == address) {
            Some(index) => TcpListener::from_std(self.0.swap_remove(index).socket),
            None => TcpListener::bind(address).await,
        }
    }
}

impl Held {
    fn of(descriptor: RawFd, socket: std::net::TcpListener) -> anyhow::Result<Self> {
        let looked = || {
            socket.set_nonblocking(true)?;
            Ok::<_, io::Error>((socket.local_addr()?, socket_acceptconn(&socket)?))
        };
        let looked = looked();
        let (address, listens) =
            looked.with_context(|| format!("{} cannot be used: {REMEDY}", named(descriptor)))?;
        ensure!(
            listens,
            "{} is a socket at {address} that does not listen: {REMEDY}",
            named(descriptor)
        );
        Ok(Self {
            descriptor,
            address,
            socket,
        })
    }
}

/// What an error calls a socket.
fn named(descriptor: RawFd) -> String {
    format!("descriptor {descriptor}, which LISTEN_FDS hands over,")
}

/// The descriptors that these variables hand over to the process with that number.
fn handed_over(
    variable: impl Fn(&'static str) -> Option<String>,
    process: u32,
) -> anyhow::Result<Range<RawFd>> {
    let none = FIRST..FIRST;
    let Some(count) = variable("LISTEN_FDS") else {
        return Ok(none);
    };
    // A process that was started by the one that they are for may have inherited the variables.
    if variable("LISTEN_PID").is_some_and(|whose| whose.parse() != Ok(process)) {
        return Ok(none);
    }
    let first = match variable("LISTEN_FDS_FIRST_FD") {
        None => FIRST,
        Some(text) => match text.parse() {
            Ok(first) if (FIRST..=RawFd::MAX - SOCKETS_MAX).contains(&first) => first,
            _ => bail!(
                "LISTEN_FDS_FIRST_FD is '{text}', and the first descriptor is {FIRST} or a later one: unset it for {FIRST}"
            ),
        },
    };
    match count.parse() {
        Ok(count) if (0..=SOCKETS_MAX).contains(&count) => Ok(first..first + count),
        _ => bail!(
            "LISTEN_FDS is '{count}', and a broker has {SOCKETS_MAX} ports: hand over that many sockets at most, and unset it where there are none"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType, bind, socket};

    const OURS: u32 = 17;

    fn held(descriptor: RawFd) -> Held {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Held::of(descriptor, socket).unwrap()
    }

    fn port(flag: &'static str, address: SocketAddr) -> Wanted {
        Wanted {
            what: "clients",
            flag,
            address,
        }
    }

    fn asked(variables: &[(&str, &str)]) -> anyhow::Result<Range<RawFd>> {
        let variable = |name: &'static str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        handed_over(variable, OURS)
    }

    #[tokio::test]
    async fn a_port_whose_socket_was_handed_over_takes_it_and_others_are_made() {
        let held = held(3);
        let address = held.address;
        let mut sockets = Sockets::of(vec![held]).unwrap();
        sockets.all_wanted(&[port("--grpc-listen", address)]).unwrap();
        let other = sockets.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert_ne!(other.local_addr().unwrap(), address);
        // It would be taken by the socket that was handed over.
        let own = sockets.listen(address).await.unwrap();
        assert_eq!(own.local_addr().unwrap(), address);
    }

    #[test]
    fn a_socket_at_an_address_that_no_port_has_is_named_with_the_ports_there_are() {
        let held = held(5);
        let address = held.address;
        let sockets = Sockets::of(vec![held]).unwrap();
        let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
        let error = sockets
            .all_wanted(&[port("--grpc-listen", everywhere)])
            .unwrap_err()
            .to_string();
        for part in [
            "descriptor 5".to_owned(),
            format!("a socket at {address}"),
            format!("--grpc-listen is {everywhere}"),
        ] {
            assert!(error.contains(&part), "{error}");
        }
    }

    #[test]
    fn a_socket_that_is_bound_and_does_not_listen_is_named() {
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&bound, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let error = Held::of(4, bound.into()).unwrap_err().to_string();
        assert!(
            error.contains("descriptor 4")
                && error.contains("127.0.0.1:")
                && error.contains("does not listen"),
            "{error}"
        );
    }

    #[test]
    fn two_descriptors_of_one_address_are_both_named() {
        let one = held(3);
        let same = one.socket.try_clone().unwrap();
        let held = vec![one, held(4), Held::of(5, same).unwrap()];
        let error = Sockets::of(held).unwrap_err().to_string();
        assert!(error.contains("descriptors 3 and 5"), "{error}");
    }

    #[test]
    fn descriptors_are_those_from_the_first_that_are_for_this_process() {
        for (variables, expected) in [
            (&[][..], 3..3),
            (&[("LISTEN_PID", "17")], 3..3),
            (&[("LISTEN_FDS", "2"), ("LISTEN_PID", "17")], 3..5),
            (&[("LISTEN_FDS", "2")], 3..5),
            (&[("LISTEN_FDS", "0")], 3..3),
            (&[("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", "9")], 9..10),
            (&[("LISTEN_FDS", "2"), ("LISTEN_PID", "18")], 3..3),
            (&[("LISTEN_FDS", "a lot"), ("LISTEN_PID", "18")], 3..3),
            (&[("LISTEN_FDS", "2"), ("LISTEN_PID", "all")], 3..3),
        ] {
            assert_eq!(asked(variables).unwrap(), expected, "{variables:?}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_are_refused_before_anything_is_taken() {
        for count in ["4", "2000000000", "99999999999999999999", "-1", "two"] {
            let error = asked(&[("LISTEN_FDS", count)]).unwrap_err().to_string();
            assert!(
                error.contains(&format!("LISTEN_FDS is '{count}'")) && error.contains("3 ports"),
                "{error}"
            );
        }
        for first in ["0", "2", "-3", "2147483647", "x"] {
            let error = asked(&[("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", first)]).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(&format!("LISTEN_FDS_FIRST_FD is '{first}'")),
                "{error}"
            );
        }
    }
}
