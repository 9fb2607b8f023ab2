//! What a repair of a damaged log leaves in the place of commands. Neither kind is one that apply knows, at any level, and so
//! neither changes anything; their bytes are as many as before, so that whatever follows stays where it is.

use super::Kind;
use super::envelope::{COMMAND_HEADER_BYTES, checksum};

/// The kind of a command that was damaged and is lost. What it did nobody knows.
pub const LOST: u8 = 254;
/// The kind of a command that was given up because it follows one that was lost, and names what only that could tell.
pub const VOID: u8 = 255;

/// Whether a command of this kind can be applied behind a part of the log that was lost. It cannot if it names offsets that
/// messages have in their queues, for these depend on how many were lost: a message would be taken for another one. What
/// groups did is then done again.
pub fn holds_behind_a_loss(kind: u8) -> bool {
    match Kind::from_byte(kind) {
        Ok(
            Kind::Level
            | Kind::Membership
            | Kind::CreateTopic
            | Kind::CreateGroup
            | Kind::Subscribe
            | Kind::PutTopic
            | Kind::DeleteTopic
            | Kind::PutGroup
            | Kind::DeleteGroup
            | Kind::Fence
            | Kind::Append,
        ) => true,
        Ok(
            Kind::SubscribeAt
            | Kind::Deliver
            | Kind::Settle
            | Kind::Release
            | Kind::DeadLetter
            | Kind::HandBack
            | Kind::Unanswered
            | Kind::SetFloor
            | Kind::Trim
            | Kind::Carry
            | Kind::Expire,
        ) => false,
        // Nobody knows it, and it changes nothing.
        Err(_) => true,
    }
}

/// Puts a command of `kind`, [`LOST`] or [`VOID`], that fills `place`, which is longer than a command's header: its length, its kind,
/// zeros, and a checksum that holds.
pub fn put_lost(place: &mut [u8], kind: u8) {
    let len = place.len() as u32;
    place.fill(0);
    place[0..4].copy_from_slice(&len.to_le_bytes());
    place[COMMAND_HEADER_BYTES] = kind;
    seal(place);
}

/// Gives up the whole command that `command` is: what it said is still there to be looked at.
pub fn make_void(command: &mut [u8]) {
    command[COMMAND_HEADER_BYTES] = VOID;
    seal(command);
}

fn seal(command: &mut [u8]) {
    let crc = checksum(command).to_le_bytes();
    command[4..8].copy_from_slice(&crc);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, check, encode_level};

    #[test]
    fn what_takes_a_commands_place_is_whole_and_of_no_kind() {
        let mut lost = vec![0xee; 33];
        put_lost(&mut lost, LOST);
        let mut void = encode_level(7, 3).as_bytes().to_vec();
        let before = void.clone();
        make_void(&mut void);
        for (bytes, kind) in [(&lost, LOST), (&void, VOID)] {
            assert_eq!(check(bytes), Ok(()));
            assert_eq!(bytes[COMMAND_HEADER_BYTES], kind);
            assert!(Command::decode(bytes).is_err() && holds_behind_a_loss(kind));
        }
        assert_eq!(void[9..], before[9..]);
    }
}
