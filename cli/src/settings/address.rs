//! Addresses: HOST:PORT.

use std::fmt;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Reads `HOST:PORT` or `[IPV6]:PORT`.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse =
            || format!("{text:?} is no address: write HOST:PORT, such as 127.0.0.1:8082 or [::1]:8082");
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let bare = inner.unwrap_or(host);
        let is_name = !bare.is_empty() && !bare.contains(|c: char| c.is_whitespace() || "/@[]?#".contains(c));
        let is_v6 = bare.contains(':');
        match port.parse() {
            Ok(port) if port > 0 && is_name && is_v6 == inner.is_some() => Ok(Self {
                host: bare.to_owned(),
                port,
            }),
            _ => Err(refuse()),
        }
    }

    /// This port on that host, where this one names none.
    #[must_use]
    pub fn or_host_of(self, other: &Self) -> Self {
        if self.host.is_empty() {
            Self {
                host: other.host.clone(),
                ..self
            }
        } else {
            self
        }
    }

    /// Reads what a broker says of itself: the host may be empty.
    pub fn of_broker(text: &str) -> Option<Self> {
        match text.strip_prefix(':') {
            Some(port) => Some(Self {
                host: String::new(),
                port: port.parse().ok()?,
            }),
            None => Self::parse(text).ok(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were_written() {
        for text in [
            "localhost:1",
            "127.0.0.1:8082",
            "[::1]:8082",
            "broker.example:65535",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "localhost",
            ":8082",
            "::1:8082",
            "[host]:1",
            "a b:1",
            "http://a:1",
            "a:0",
            "a:65536",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_broker_that_names_no_host_is_where_it_was_reached() {
        let admin = Address::parse("broker.example:8082").unwrap();
        for (said, meant) in [
            (":8081", "broker.example:8081"),
            ("10.0.0.7:8081", "10.0.0.7:8081"),
        ] {
            assert_eq!(
                Address::of_broker(said).unwrap().or_host_of(&admin).to_string(),
                meant
            );
        }
        assert_eq!(Address::of_broker("nonsense"), None);
    }
}
