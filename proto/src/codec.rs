//! How messages are read from the wire: as tonic reads them, unless they have too many parts.
//!
//! An empty message within another takes two bytes on its way and several hundred in memory: of a request of 8 MiB there would
//! come gigabytes before anybody could look at it. So the fields at the top of a message are counted first. Short messages,
//! which can have no more than are allowed, are not looked at. Some messages have lists deeper down as well, as settings do: they
//! are short otherwise, and bounded as a whole; of a send the properties of its messages are counted.

use crate::v2::{
    GetOffsetRequest, PullMessageRequest, QueryAssignmentRequest, QueryOffsetRequest, QueryRouteRequest,
    ReceiveMessageRequest, SendMessageRequest, TelemetryCommand, UpdateOffsetRequest,
};
use bytes::Buf as _;
use prost::Message;
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Fields at the top of a message. The largest answer has half of that: the queues of a group.
pub const FIELDS_MAX: usize = 32_768;
/// Bytes of a [`TelemetryCommand`], but for stacks, and of requests without messages. The settings for a thousand topics take
/// less.
pub const SHORT_BYTES_MAX: usize = 256 << 10;
/// User properties and fields of the system properties of all messages of a send. Those of 4,096 messages have 64 each then.
pub const PROPERTIES_MAX: usize = 8 * FIELDS_MAX;
/// The field of a [`TelemetryCommand`] with the stacks of threads, which are one text.
const STACKS: u64 = 3;
/// The field of a [`SendMessageRequest`] with a message; those of a message with a user property, and with keys and more.
const MESSAGES: u64 = 1;
const USER_PROPERTY: u64 = 2;
const SYSTEM_PROPERTIES: u64 = 3;
/// A field has a byte that says which it is, and one at least that it has.
const FIELD_BYTES_MIN: usize = 2;
const VARINT_BYTES_MAX: usize = 10;

/// A message with more fields than [`FIELDS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyFields;

impl fmt::Display for TooManyFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the message has more than {FIELDS_MAX} parts: send them by several requests"
        )
    }
}

impl std::error::Error for TooManyFields {}

/// What a message has too much of, but for what [`TooManyFields`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// Bytes of a [`TelemetryCommand`], but for stacks.
    Settings(usize),
    /// Bytes of a request that has neither messages nor entries.
    Request(usize),
    /// User properties and fields of the system properties of all messages of a send.
    Properties,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(bytes) => write!(
                f,
                "the settings take {bytes} bytes, and at most {SHORT_BYTES_MAX} are taken: announce fewer topics"
            ),
            Self::Request(bytes) => write!(
                f,
                "the request takes {bytes} bytes, and at most {SHORT_BYTES_MAX} are taken of one without messages"
            ),
            Self::Properties => write!(
                f,
                "the messages have more than {PROPERTIES_MAX} keys and other properties: send them by several requests"
            ),
        }
    }
}

impl std::error::Error for TooLong {}

/// Bounds the lists that a message of this type has deeper down.
pub fn check_lists<T: 'static>(message: &[u8]) -> Result<(), TooLong> {
    let this = TypeId::of::<T>();
    if this == TypeId::of::<TelemetryCommand>() {
        check_command(message)
    } else if this == TypeId::of::<SendMessageRequest>() {
        check_properties(message)
    } else if is_short(this) && message.len() > SHORT_BYTES_MAX {
        Err(TooLong::Request(message.len()))
    } else {
        Ok(())
    }
}

/// Whether a request has a queue or an access point in it, whose addresses are a list, and names otherwise.
fn is_short(request: TypeId) -> bool {
    [
        TypeId::of::<QueryRouteRequest>(),
        TypeId::of::<QueryAssignmentRequest>(),
        TypeId::of::<ReceiveMessageRequest>(),
        TypeId::of::<PullMessageRequest>(),
        TypeId::of::<UpdateOffsetRequest>(),
        TypeId::of::<GetOffsetRequest>(),
        TypeId::of::<QueryOffsetRequest>(),
    ]
    .contains(&request)
}

/// The parts of settings add up where they come in several fields.
fn check_command(command: &[u8]) -> Result<(), TooLong> {
    if command.len() <= SHORT_BYTES_MAX {
        return Ok(());
    }
    let stacks: usize = within(command, STACKS).map(|field| field.bytes.len()).sum();
    let bytes = command.len() - stacks;
    if bytes > SHORT_BYTES_MAX {
        return Err(TooLong::Settings(bytes));
    }
    Ok(())
}

fn check_properties(send: &[u8]) -> Result<(), TooLong> {
    if send.len() <= PROPERTIES_MAX * FIELD_BYTES_MIN {
        return Ok(());
    }
    let mut count = 0;
    for message in within(send, MESSAGES) {
        for field in fields(message.content()) {
            count += match field.number {
                USER_PROPERTY => 1,
                SYSTEM_PROPERTIES => fields(field.content()).take(PROPERTIES_MAX + 1).count(),
                _ => 0,
            };
            if count > PROPERTIES_MAX {
                return Err(TooLong::Properties);
            }
        }
    }
    Ok(())
}

/// Counts the fields at the top of an encoded message.
pub fn check(message: &[u8]) -> Result<(), TooManyFields> {
    if message.len() <= FIELDS_MAX * FIELD_BYTES_MIN {
        return Ok(());
    }
    if fields(message).take(FIELDS_MAX + 1).count() > FIELDS_MAX {
        return Err(TooManyFields);
    }
    Ok(())
}

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// All of it, with its key.
    bytes: &'a [u8],
    /// Behind the key, and the length if there is one.
    content_at: usize,
}

impl<'a> Field<'a> {
    /// What is in the field, of those that have a length. Nothing is in the others.
    fn content(&self) -> &'a [u8] {
        &self.bytes[self.content_at..]
    }
}

/// The fields at the top of a message. Where this finds no field, the decoder does not either, and it reads what is in front of
/// it at most.
fn fields(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let (field, behind) = first_field(rest)?;
        rest = behind;
        Some(field)
    })
}

/// The fields of one number.
fn within(message: &[u8], number: u64) -> impl Iterator<Item = Field<'_>> {
    fields(message).filter(move |field| field.number == number)
}

/// The first field, and what follows it. Groups are in nobody's schema: their content counts as if it stood at the top.
fn first_field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let (behind, content) = match key & 7 {
        0 => (varint(rest)?.1, 0),
        1 => (rest.get(8..)?, 0),
        2 => {
            let (len, rest) = varint(rest)?;
            let len = usize::try_from(len).ok()?;
            (rest.get(len..)?, len)
        }
        3 | 4 => (rest, 0),
        5 => (rest.get(4..)?, 0),
        _ => return None,
    };
    let len = bytes.len() - behind.len();
    let field = Field {
        number: key >> 3,
        bytes: &bytes[..len],
        content_at: len - content,
    };
    Some((field, behind))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

/// The codec of all calls: for messages of Protobuf, with the bound on their fields.
#[derive(Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::default())
    }
}

/// See [`BoundedCodec`].
#[derive(Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default + 'static> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // A message lies in one piece.
        let message = buf.chunk();
        check(message).map_err(|error| Status::out_of_range(error.to_string()))?;
        check_lists::<U>(message).map_err(|error| match error {
            // As settings are refused that make no sense.
            TooLong::Settings(_) => Status::invalid_argument(error.to_string()),
            TooLong::Request(_) | TooLong::Properties => Status::out_of_range(error.to_string()),
        })?;
        self.0.decode(buf)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_MESSAGE: &[u8] = &[0x0a, 0];

    #[test]
    fn as_many_fields_as_may_be_pass_and_one_more_does_not() {
        for field in [
            EMPTY_MESSAGE,
            &[0x12, 1, b'x'],
            &[0x08, 0x80, 1],
            &[0x09, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x0d, 1, 2, 3, 4],
        ] {
            assert_eq!(check(&field.repeat(FIELDS_MAX)), Ok(()), "{field:?}");
            assert_eq!(
                check(&field.repeat(FIELDS_MAX + 1)),
                Err(TooManyFields),
                "{field:?}"
            );
        }
    }

    #[test]
    fn what_stands_in_or_behind_a_group_counts() {
        let many = EMPTY_MESSAGE.repeat(FIELDS_MAX);
        for (before, after) in [(&[0x1b][..], &[0x1c][..]), (&[0x1b, 0x1c], &[])] {
            assert_eq!(
                check(&[before, &many, after].concat()),
                Err(TooManyFields),
                "{before:?}"
            );
        }
    }

    #[test]
    fn fields_behind_what_ends_a_message_do_not_count() {
        let many = EMPTY_MESSAGE.repeat(2 * FIELDS_MAX);
        for end in [
            &[0x0f][..],
            &[0x0a, 0xff, 0xff, 0xff, 0x7f],
            &[0xff; VARINT_BYTES_MAX + 1],
        ] {
            assert_eq!(check(&[end, &many].concat()), Ok(()), "{end:?}");
        }
        assert_eq!(check(&many), Err(TooManyFields));
    }

    fn field(number: u32, payload: &[u8]) -> Vec<u8> {
        let mut field = Vec::new();
        prost::encoding::bytes::encode(number, &payload.to_vec(), &mut field);
        field
    }

    #[test]
    fn a_command_is_bounded_but_for_the_stacks_in_it() {
        let head = 4;
        let largest = field(2, &vec![0; SHORT_BYTES_MAX - head]);
        let stacks = field(3, &vec![b'x'; 1 << 20]);
        for (command, bytes) in [
            (largest.clone(), SHORT_BYTES_MAX),
            ([&largest[..], &stacks].concat(), SHORT_BYTES_MAX),
            (
                field(2, &vec![0; SHORT_BYTES_MAX - head + 1]),
                SHORT_BYTES_MAX + 1,
            ),
            // Where settings come in two fields, they are those of both.
            ([&largest[..], &field(2, &[0])].concat(), SHORT_BYTES_MAX + 3),
            ([&stacks[..], &largest, &[0x38, 1]].concat(), SHORT_BYTES_MAX + 2),
            (field(7, &vec![0; 1 << 20]), (1 << 20) + head),
            // What cannot be read is no stacks.
            ([&[0x0f][..], &stacks].concat(), stacks.len() + 1),
        ] {
            let expected = if bytes > SHORT_BYTES_MAX {
                Err(TooLong::Settings(bytes))
            } else {
                Ok(())
            };
            assert_eq!(check_lists::<TelemetryCommand>(&command), expected);
        }
    }

    #[test]
    fn requests_without_messages_are_short_and_those_with_them_need_not_be() {
        let long = vec![0; SHORT_BYTES_MAX + 1];
        let refused = Err(TooLong::Request(long.len()));
        assert_eq!(check_lists::<QueryRouteRequest>(&long), refused);
        assert_eq!(check_lists::<ReceiveMessageRequest>(&long), refused);
        assert_eq!(check_lists::<QueryRouteRequest>(&long[1..]), Ok(()));
        assert_eq!(check_lists::<crate::v2::AckMessageRequest>(&long), Ok(()));
    }

    #[test]
    fn the_properties_of_all_messages_of_a_send_count() {
        let key = field(2, &[]);
        let message = |keys: usize| field(1, &[field(3, &key.repeat(keys)), field(4, b"body")].concat());
        let half = PROPERTIES_MAX / 2;
        for (send, expected) in [
            ([message(half), message(half)].concat(), Ok(())),
            (
                [message(half), message(half + 1)].concat(),
                Err(TooLong::Properties),
            ),
            // A body may look like keys.
            (field(1, &field(4, &key.repeat(2 * PROPERTIES_MAX))), Ok(())),
            (field(2, &field(3, &key.repeat(2 * PROPERTIES_MAX))), Ok(())),
        ] {
            assert_eq!(check_lists::<SendMessageRequest>(&send), expected);
        }
    }

    #[test]
    fn one_long_field_is_no_matter() {
        assert_eq!(check(&field(1, &vec![0x0a; 8 << 20])), Ok(()));
    }
}
