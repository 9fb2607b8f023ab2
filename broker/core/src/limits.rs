//! Every bound of the domain in one place, with their relations asserted at compile time.

/// Commands in one batch, which is one frame.
pub const BATCH_COMMANDS_MAX: usize = 1024;
/// Bytes of commands in one batch, unless a single command is larger.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// A message's body in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A message's properties, names and values together, as stored.
pub const PROPERTIES_BYTES_MAX: usize = 32 * 1024 - 1;
/// User properties of one message.
pub const USER_PROPERTIES_MAX: usize = 128;
/// Names and values of a message's user properties in bytes.
pub const USER_PROPERTIES_BYTES_MAX: usize = 16 * 1024;
/// Topics, dead-letter topics counted. Those are made nevertheless: no more of them than there are groups.
pub const TOPICS_MAX: usize = 10_000;
/// Consumer groups.
pub const GROUPS_MAX: usize = 10_000;
/// Queues that groups are subscribed to, each counted once a group: at four queues a topic, 65,536 subscriptions.
pub const SUBSCRIBED_QUEUES_MAX: usize = 262_144;
/// Characters in a topic's name as clients may write it.
pub const TOPIC_NAME_MAX: usize = 127;
/// Characters in the name of a topic that the broker makes itself, such as a dead-letter topic.
pub const SYSTEM_TOPIC_NAME_MAX: usize = 255;
/// Characters in a group's name.
pub const GROUP_NAME_MAX: usize = 120;
/// Bytes of a client's id that are kept with a delivery.
pub const CLIENT_ID_MAX: usize = 255;
/// Queues of one topic.
pub const QUEUES_MAX: u32 = 4096;
/// Queues of a topic made on first use (F7).
pub const QUEUES_DEFAULT: u32 = 4;
/// Messages of one send. RocketMQ's own clients send one at a time; who gathers them by the thousand fits.
pub const SEND_MAX: usize = 4096;
/// Entries of one acknowledgement: as many as 32 receives bring. RocketMQ's own clients send one at a time.
pub const ACKNOWLEDGE_MAX: usize = 32 * RECEIVE_MAX;
/// Messages that one receive may take.
pub const RECEIVE_MAX: usize = 32;
/// Bytes of commands in the log that one receive brings, and with its last message at most one message more.
pub const RECEIVE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries that one receive looks through in one queue, and one pull in all: a bound on their work.
pub const SCAN_MAX: u64 = 16 * 1024;
/// Bytes of commands in the log that one pull brings, unless its first message alone is larger.
pub const PULL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages of one queue in flight for one group.
pub const IN_FLIGHT_MAX: usize = 10_000;
/// Deliveries of a message before it goes to the dead-letter topic: the first and 16 retries (D5).
pub const ATTEMPTS_DEFAULT: u16 = 17;
/// Deliveries of a message that a group may ask for.
pub const ATTEMPTS_MAX: u16 = 1000;
/// How long a message is hidden from others at least, where a group says it.
pub const INVISIBLE_MS_MIN: u64 = 10_000;
/// How long a message is hidden from others where nobody says it.
pub const INVISIBLE_MS_DEFAULT: u64 = 60_000;
/// How long a client may hide a message from others.
pub const INVISIBLE_MS_MAX: u64 = 12 * 3600 * 1000;
/// A delivery that the broker renews for its client ends after this.
pub const AUTO_RENEW_MS_MAX: u64 = 3 * 3600 * 1000;
/// Steps of a group's customised back-off.
pub const BACKOFF_STEPS_MAX: usize = 64;
/// How long a push consumer waits for messages at least.
pub const LONG_POLL_MS_MIN: u64 = 1000;
/// How long a push consumer waits for messages at most, and unless its group says otherwise.
pub const LONG_POLL_MS_MAX: u64 = 20_000;
/// Topics that a group reads whether or not it has clients.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Bytes of such a subscription's tag expression.
pub const EXPRESSION_BYTES_MAX: usize = 1024;
/// Bytes of a fence holder's name.
pub const HOLDER_BYTES_MAX: usize = 255;
/// Hours that a topic's messages are kept at most where it says so.
pub const RETENTION_HOURS_MAX: u32 = 876_000;
/// Bytes of a topic's messages that anybody may ask to have kept at least, where there is a bound. State takes fewer.
pub const RETENTION_BYTES_MIN: u64 = 1 << 20;
/// Bytes of a topic's messages that are kept at most where it says so.
pub const RETENTION_BYTES_MAX: u64 = 1 << 50;
/// Queues that one `Trim` or `Expire` moves, and in an `Expire` the carried messages that go.
pub const TRIM_QUEUES_MAX: usize = 4096;
/// Places in queues that one `Carry` moves.
pub const CARRY_PLACES_MAX: usize = 256;
/// Places in queues that carried messages stand at, all together: their entries are part of state, 40 bytes each.
pub const CARRIED_MAX: usize = 1 << 20;
/// Offsets of a queue whose carried entries are one part of state.
pub const CARRIED_SPAN: u64 = 1 << 16;

const _: () = assert!(BATCH_COMMANDS_MAX <= u16::MAX as usize);
const _: () = assert!(RECEIVE_MAX <= IN_FLIGHT_MAX);
const _: () = assert!(QUEUES_MAX as usize <= SUBSCRIBED_QUEUES_MAX);
const _: () = assert!(PROPERTIES_BYTES_MAX <= i16::MAX as usize);
const _: () = assert!(RECEIVE_MAX <= u8::MAX as usize);
const _: () = assert!(INVISIBLE_MS_MIN <= INVISIBLE_MS_DEFAULT && INVISIBLE_MS_DEFAULT <= INVISIBLE_MS_MAX);
const _: () = assert!(RETENTION_BYTES_MIN <= RETENTION_BYTES_MAX);
const _: () = assert!(USER_PROPERTIES_BYTES_MAX < PROPERTIES_BYTES_MAX);
