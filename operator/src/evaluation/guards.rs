//! What guards with a query read.

use super::servers::Source;
use crate::autoscale::{GuardReading, Missing};
use crate::prometheus::Question;
use futures::future::join_all;
use sluice_operator_api::consumer_group::{Guard, PrometheusGuard};
use std::collections::BTreeMap;

/// Asks for all of them at one time.
pub async fn readings(
    guards: &[Guard],
    source: &Result<Source, Missing>,
    now: u64,
) -> BTreeMap<String, GuardReading> {
    let asked = guards.iter().filter_map(|guard| {
        let rule = guard.prometheus.as_ref()?;
        Some(async move {
            let reading = match source {
                Ok(source) => ask(rule, source, now).await,
                Err(missing) => GuardReading::Missing(missing.detail.clone()),
            };
            (guard.name.clone(), reading)
        })
    });
    join_all(asked).await.into_iter().collect()
}

async fn ask(rule: &PrometheusGuard, source: &Source, now: u64) -> GuardReading {
    let question = Question {
        query: rule.query.clone(),
        age_query: None,
        max_age_seconds: source.max_age_seconds,
    };
    match source.client.value(&question, now).await {
        Ok(sample) => judged(rule, sample.value),
        Err(error) => GuardReading::Missing(error.to_string()),
    }
}

/// In words without the value: they stand in statuses, which are not to change all the time.
fn judged(rule: &PrometheusGuard, value: f64) -> GuardReading {
    if !rule.is_crossed_by(value) {
        return GuardReading::Within;
    }
    let (above, below) = (rule.above.as_deref(), rule.below.as_deref());
    let is_above = above
        .and_then(|above| above.parse::<f64>().ok())
        .is_some_and(|above| value > above);
    GuardReading::Beyond(match (is_above, above, below) {
        (true, Some(above), _) => format!("its value is above {above}"),
        (_, _, below) => format!("its value is below {}", below.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_beyond_either_threshold_or_within_both() {
        let rule = PrometheusGuard {
            query: "q".to_owned(),
            above: Some("85".to_owned()),
            below: Some("-0.5".to_owned()),
        };
        let beyond = |words: &str| GuardReading::Beyond(words.to_owned());
        for (value, wanted) in [
            (85.0, GuardReading::Within),
            (85.1, beyond("its value is above 85")),
            (-0.5, GuardReading::Within),
            (-0.6, beyond("its value is below -0.5")),
            (0.0, GuardReading::Within),
        ] {
            assert_eq!(judged(&rule, value), wanted, "{value}");
        }
    }
}
