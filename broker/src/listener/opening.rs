//! How a connection begins, told by its first byte.

/// The first byte of a TLS record that begins a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How the methods of HTTP/1 begin: GET, HEAD, OPTIONS, DELETE, CONNECT, TRACE, and POST, PUT and PATCH like HTTP/2 itself.
const HTTP_METHODS: &[u8] = b"GHODCTP";

/// What a connection may turn out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// TLS, and something within it.
    Tls,
    /// HTTP, of either version.
    Text,
    /// Neither.
    Neither,
}

impl Opening {
    /// By the first byte that came.
    pub fn of(first: u8) -> Self {
        match first {
            TLS_HANDSHAKE => Self::Tls,
            byte if HTTP_METHODS.contains(&byte) => Self::Text,
            _ => Self::Neither,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_what_a_connection_may_speak() {
        for (begins, opening) in [
            (&b"\x16\x03\x01"[..], Opening::Tls),
            (b"GET / HTTP/1.1", Opening::Text),
            (b"HEAD / HTTP/1.1", Opening::Text),
            (b"OPTIONS * HTTP/1.1", Opening::Text),
            (b"DELETE / HTTP/1.1", Opening::Text),
            (b"CONNECT x:1 HTTP/1.1", Opening::Text),
            (b"TRACE / HTTP/1.1", Opening::Text),
            (b"POST / HTTP/1.1", Opening::Text),
            (b"PRI * HTTP/2.0", Opening::Text),
            (b"\0", Opening::Neither),
            (b"\x15\x03\x01", Opening::Neither),
            (b"\xff", Opening::Neither),
        ] {
            assert_eq!(Opening::of(begins[0]), opening, "{begins:?}");
        }
    }
}
