//! What a Lease says, as plain values.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// What a Lease says about its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nobody, once it was given back.
    pub holder: Option<String>,
    /// How long the holder asks others to wait when it is silent.
    pub duration: Option<Duration>,
    /// How often the holder has changed.
    pub transitions: i32,
    /// When the holder renewed it, on the holder's own clock: of use only to see that it has.
    pub renewed_us: Option<i64>,
}

impl Record {
    /// Reads what there is; what is left out or makes no sense is absent.
    pub fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
            transitions: spec.lease_transitions.unwrap_or(0).max(0),
            renewed_us: spec.renew_time.map(|time| time.0.as_microsecond()),
        }
    }
}

/// The Lease with this holder in it, as of now. Everything else that it says stays.
pub fn held(mut lease: Lease, holder: &str, duration: Duration, transitions: i32, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(holder) {
        spec.acquire_time = Some(MicroTime(now));
    }
    *spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        lease_transitions: Some(transitions),
        renew_time: Some(MicroTime(now)),
        ..spec.clone()
    };
    lease
}

/// The Lease without a holder: whoever sees it may take it at once.
pub fn released(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(MicroTime(now));
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let now = Timestamp::UNIX_EPOCH;
        let lease = held(Lease::default(), "me", Duration::from_secs(15), 3, now);
        assert_eq!(
            Record::of(&lease),
            Record {
                holder: Some("me".to_owned()),
                duration: Some(Duration::from_secs(15)),
                transitions: 3,
                renewed_us: Some(0),
            }
        );
        assert_eq!(Record::of(&released(lease, now)).holder, None);
    }

    #[test]
    fn the_time_of_taking_it_stays_while_the_holder_does() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(9).unwrap());
        let lease = held(Lease::default(), "me", Duration::from_secs(15), 0, first);
        let renewed = held(lease.clone(), "me", Duration::from_secs(15), 0, later);
        let taken = held(lease, "other", Duration::from_secs(15), 1, later);
        assert_eq!(renewed.spec.unwrap().acquire_time, Some(MicroTime(first)));
        assert_eq!(taken.spec.unwrap().acquire_time, Some(MicroTime(later)));
    }

    #[test]
    fn what_makes_no_sense_is_as_good_as_absent() {
        let lease = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(-1),
                lease_transitions: Some(-7),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        let record = Record::of(&lease);
        assert_eq!(
            (record.holder, record.duration, record.transitions),
            (None, None, 0)
        );
        assert_eq!(Record::of(&Lease::default()).holder, None);
    }
}
