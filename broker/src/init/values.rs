//! Values of the file: whole numbers, sizes, durations, back-offs, starts, subscriptions. Each says what it should be in the
//! file's own words.

use crate::service::validate;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use sluice_core::command::{Backoff, StartFrom, StaticSubscription};
use sluice_core::limits;
use sluice_core::plan::TagFilter;
use sluice_core::units;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

/// A size: text with a unit, or bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(u64);

impl Size {
    /// The bytes, if they are within these.
    pub(super) fn within(self, key: &str, bounds: RangeInclusive<u64>) -> Result<u64, String> {
        let Self(bytes) = self;
        if bounds.contains(&bytes) {
            return Ok(bytes);
        }
        let (least, most) = (bounds.start(), bounds.end());
        let write = units::write_size;
        Err(format!(
            "{key} is {}, and may be {} to {}",
            write(bytes),
            write(*least),
            write(*most)
        ))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Size;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a size such as 10GiB")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                units::size(text).map(Size).map_err(E::custom)
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

/// The duration in milliseconds, if it is within these.
pub(super) fn span_within(
    Span(span): Span,
    key: &str,
    bounds_ms: RangeInclusive<u64>,
) -> Result<u64, String> {
    let fits = u64::try_from(span.as_millis())
        .ok()
        .filter(|ms| bounds_ms.contains(ms));
    fits.ok_or_else(|| {
        let write = |ms: &u64| units::write(Duration::from_millis(*ms));
        let (least, most) = (write(bounds_ms.start()), write(bounds_ms.end()));
        format!("{key} is {}, and may be {least} to {most}", units::write(span))
    })
}

/// Where a group starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartEntry(pub(super) StartFrom);

impl<'de> Deserialize<'de> for StartEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = StartEntry;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("earliest, latest, or a time such as 2026-01-31T15:04:05Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StartEntry, E> {
                let from = match text {
                    "earliest" => Some(StartFrom::Earliest),
                    "latest" => Some(StartFrom::Latest),
                    time => OffsetDateTime::parse(time, &Rfc3339)
                        .ok()
                        .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok())
                        .map(StartFrom::Time),
                };
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                from.map(StartEntry).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

/// A topic that a group reads in any case: its name alone, or with the tags.
#[derive(Debug)]
pub(super) struct SubscriptionEntry {
    topic: String,
    expression: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicWithTags {
    topic: String,
    expression: Option<String>,
}

impl<'de> Deserialize<'de> for SubscriptionEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = SubscriptionEntry;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a topic's name, or {topic: orders, expression: a || b}")
            }

            fn visit_str<E: de::Error>(self, topic: &str) -> Result<SubscriptionEntry, E> {
                Ok(SubscriptionEntry {
                    topic: topic.to_owned(),
                    expression: "*".to_owned(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<SubscriptionEntry, A::Error> {
                let TopicWithTags { topic, expression } =
                    TopicWithTags::deserialize(MapAccessDeserializer::new(keys))?;
                let expression = expression.unwrap_or_else(|| "*".to_owned());
                Ok(SubscriptionEntry { topic, expression })
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

impl SubscriptionEntry {
    /// The subscription, if its topic can be and its expression can be read.
    pub(super) fn check(self) -> Result<StaticSubscription, String> {
        let Self { topic, expression } = self;
        validate::readable_topic_name(&topic).map_err(|error| error.to_string())?;
        if expression.len() > limits::EXPRESSION_BYTES_MAX {
            return Err(format!(
                "the tag expression of topic '{topic}' has {} bytes, and may have {}",
                expression.len(),
                limits::EXPRESSION_BYTES_MAX
            ));
        }
        let filter = TagFilter::parse(&expression).map_err(|error| error.to_string())?;
        Ok(StaticSubscription {
            topic,
            expression: if filter.takes_all() {
                "*".to_owned()
            } else {
                expression
            },
        })
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
