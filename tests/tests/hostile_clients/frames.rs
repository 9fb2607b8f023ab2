//! Frames of HTTP/2 (RFC 9113) as no library would send them.

/// What a client says first, with empty settings.
pub const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_HEADERS: u8 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block (RFC 7541) of a send.
pub fn send_message_headers() -> Vec<u8> {
    // POST and http of the static table, then literals with its names.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (0x44, "/apache.rocketmq.v2.MessagingService/SendMessage"),
        (0x41, "localhost"),
        (0x5f, "application/grpc"),
    ] {
        block.push(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    block
}

/// The ids that a client gives its streams.
pub fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}
