//! A body against the digest that a client sent with it.

use super::delivery::hex_upper;
use super::invalid::Invalid;
use md5::{Digest as _, Md5};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use sluice_proto::v2::{Digest, DigestType};

/// Checks the digest. One without a type or without a value says nothing.
pub fn verify(given: &Digest, body: &[u8]) -> Result<(), Invalid> {
    let text = given.checksum.trim();
    if text.is_empty() {
        return Ok(());
    }
    let fits = match DigestType::try_from(given.r#type) {
        Ok(DigestType::Unspecified) => true,
        Ok(DigestType::Crc32) => is_crc32(text, crc32fast::hash(body)),
        Ok(DigestType::Md5) => text.eq_ignore_ascii_case(&hex_upper(&Md5::digest(body))),
        Ok(DigestType::Sha1) => {
            text.eq_ignore_ascii_case(&hex_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, body).as_ref()))
        }
        Err(_) => false,
    };
    if fits {
        Ok(())
    } else {
        Err(Invalid::Corrupted("the body does not fit its digest"))
    }
}

/// Clients write it in hexadecimal, with or without zeros in front, or in decimal.
fn is_crc32(text: &str, crc: u32) -> bool {
    u32::from_str_radix(text, 16) == Ok(crc) || text.parse() == Ok(crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(kind: DigestType, checksum: &str) -> Digest {
        Digest {
            r#type: kind.into(),
            checksum: checksum.to_owned(),
        }
    }

    #[test]
    fn digests_are_taken_in_every_form_that_clients_write() {
        for (kind, checksum) in [
            (DigestType::Crc32, "3610A686"),
            (DigestType::Crc32, "3610a686"),
            (DigestType::Crc32, "907060870"),
            (DigestType::Md5, "5D41402ABC4B2A76B9719D911017C592"),
            (DigestType::Md5, "5d41402abc4b2a76b9719d911017c592"),
            (DigestType::Sha1, "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D"),
            (DigestType::Unspecified, "whatever"),
            (DigestType::Md5, ""),
        ] {
            assert_eq!(
                verify(&given(kind, checksum), b"hello"),
                Ok(()),
                "{kind:?} {checksum}"
            );
        }
    }

    #[test]
    fn a_body_that_does_not_fit_its_digest_is_corrupted() {
        for kind in [DigestType::Crc32, DigestType::Md5, DigestType::Sha1] {
            assert!(verify(&given(kind, "00"), b"hello").is_err(), "{kind:?}");
        }
        assert!(
            verify(
                &Digest {
                    r#type: 99,
                    checksum: "x".into()
                },
                b"hello"
            )
            .is_err()
        );
    }
}
