//! Every request of every gRPC service, the clients' and the operators': the first byte picks which, the others are its bytes.
//! It is decoded, and goes through whatever of its validation asks nobody.

mod admin;
mod client;
mod decoders;
mod schema;

use crate::fuzz::bounds::worded;
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use bolero::{Driver, ValueGenerator};
use decoders::{DECODERS, Decoder};
use schema::SCHEMA;
use std::fmt::Display;

struct Requests;

impl ValueGenerator for Requests {
    type Output = Case<()>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let which = draw::below(driver, DECODERS.len())?;
        let mut request = SCHEMA.draw(driver, DECODERS[which].name)?;
        let other = SCHEMA.draw(driver, DECODERS[which].name)?;
        damage::some(driver, &mut request, &other)?;
        let bytes = std::iter::once(which as u8).chain(request).collect();
        Some(Case { bytes, origin: () })
    }
}

fn check(bytes: &[u8], decoders: &[Decoder]) -> Checked {
    let Some((which, request)) = bytes.split_first() else {
        return Ok(Verdict::Refused);
    };
    (decoders[usize::from(*which) % decoders.len()].check)(request)
}

/// What a check answered; a refusal has a text.
fn told<T>(answer: Result<T, impl Display>) -> anyhow::Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(refusal) => worded(&refusal).map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};
    use decoders::decoded;
    use sluice_proto::v2;

    #[test]
    fn a_request_is_decoded_and_checked_or_refused_in_words() {
        run::holds("requests", Requests, |case| check(&case.bytes, DECODERS));
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("requests", |bytes| check(bytes, DECODERS));
    }

    #[test]
    fn every_request_of_every_service_is_among_the_decoders() {
        let mut decoded: Vec<_> = DECODERS.iter().map(|decoder| decoder.name).collect();
        decoded.sort_unstable();
        let mut there = SCHEMA.requests();
        there.sort_unstable();
        there.dedup();
        assert_eq!(decoded, there);
        assert!(DECODERS.len() <= 256, "one byte picks");
    }

    #[test]
    fn a_planted_check_that_takes_the_sender_at_his_word_is_found() {
        const TRUSTING: &[Decoder] = &[Decoder {
            name: "apache.rocketmq.v2.SendMessageRequest",
            check: |bytes| {
                decoded::<v2::SendMessageRequest>(bytes, |request| {
                    // What goes into the table of clients is to have been checked.
                    request.messages.iter().try_for_each(|message| {
                        let name = message.topic.as_ref().map_or("", |topic| topic.name.as_str());
                        client::internal(name)
                    })
                })
            },
        }];
        let found = run::finds(Requests, |case| check(&case.bytes, TRUSTING));
        assert!(found.contains("passes as a name"), "{found}");
    }
}
