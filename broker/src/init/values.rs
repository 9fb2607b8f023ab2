//! Values of the file: whole numbers, durations, back-offs. Each says what it should be in the file's own words.

use crate::units;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use sluice_core::command::Backoff;
use sluice_core::limits;
use std::fmt;
use std::time::Duration;

const BACKOFF_MAX: Duration = Duration::from_millis(limits::INVISIBLE_MS_MAX);
const MULTIPLIER_MAX: f64 = 100.0;

/// A whole number, whose bounds are looked at when it is known whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(u64);

impl Whole {
    /// The number, if it is from 1 to `max`.
    pub(super) fn within<T: TryFrom<u64> + PartialOrd + fmt::Display>(
        self,
        key: &str,
        max: T,
    ) -> Result<T, String> {
        let Self(number) = self;
        let fits = T::try_from(number).ok().filter(|fits| number > 0 && *fits <= max);
        fits.ok_or_else(|| format!("{key} is {number}, and may be 1 to {max}"))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Whole;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

/// A duration: text with a unit, or seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Span;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a duration such as 500ms or 10s")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
                Ok(Span(Duration::from_secs(seconds)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                units::duration(text).map(Span).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

/// A number, with or without a fraction.
#[derive(Clone, Copy, Debug)]
struct Factor(f64);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Factor;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number such as 2 or 1.5")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Factor, E> {
                Ok(Factor(number as f64))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Factor, E> {
                Ok(Factor(number))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

/// A back-off: its waits one by one, or how they grow.
#[derive(Debug)]
pub(super) enum BackoffEntry {
    Customized(Vec<Span>),
    Exponential(Exponential),
}

/// How waits grow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exponential {
    initial: Span,
    max: Span,
    #[serde(default = "doubling")]
    multiplier: Factor,
}

fn doubling() -> Factor {
    Factor(2.0)
}

impl<'de> Deserialize<'de> for BackoffEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = BackoffEntry;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "a list of waits such as [1s, 10s, 1m], or {initial: 5s, max: 2h, multiplier: 2}",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<BackoffEntry, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(BackoffEntry::Customized)
            }

            fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<BackoffEntry, A::Error> {
                Exponential::deserialize(MapAccessDeserializer::new(keys)).map(BackoffEntry::Exponential)
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

impl BackoffEntry {
    /// The back-off, if its waits and numbers are in their bounds.
    pub(super) fn check(self) -> Result<Backoff, String> {
        let ms = |Span(span): Span| {
            if span > BACKOFF_MAX {
                return Err(format!(
                    "the back-off's wait of {} is longer than {}",
                    units::write(span),
                    units::write(BACKOFF_MAX)
                ));
            }
            Ok(span.as_millis() as u64)
        };
        match self {
            Self::Customized(steps) if steps.is_empty() || steps.len() > limits::BACKOFF_STEPS_MAX => {
                Err(format!(
                    "the back-off has {} waits, and may have 1 to {}",
                    steps.len(),
                    limits::BACKOFF_STEPS_MAX
                ))
            }
            Self::Customized(steps) => Ok(Backoff::Customized(
                steps.into_iter().map(ms).collect::<Result<_, _>>()?,
            )),
            Self::Exponential(Exponential {
                initial,
                max,
                multiplier: Factor(multiplier),
            }) => {
                let (initial_ms, max_ms) = (ms(initial)?, ms(max)?);
                if initial_ms == 0 || initial_ms > max_ms {
                    return Err("the back-off's initial wait is 0 or longer than its max".to_owned());
                }
                if !(1.0..=MULTIPLIER_MAX).contains(&multiplier) {
                    return Err(format!(
                        "the back-off's multiplier is {multiplier}, and may be 1 to {MULTIPLIER_MAX}"
                    ));
                }
                Ok(Backoff::Exponential {
                    initial_ms,
                    max_ms,
                    multiplier_milli: (multiplier * 1000.0).round() as u32,
                })
            }
        }
    }
}
