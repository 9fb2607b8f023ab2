//! The epoch of this leadership at one broker, and what it means when the broker refuses it.

use sluice_proto::admin::BrokerStatus;

/// An epoch, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// The store that has given it: a broker with an empty volume counts anew.
    pub uuid: String,
    /// What writes carry.
    pub epoch: u64,
}

/// What follows from a refused epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is another store than the one that gave the epoch: fence there as well.
    FenceAnew,
    /// This process has fenced a second time, over another connection: go on with that epoch.
    GoOnWith(Fenced),
    /// Somebody else has.
    Deposed(String),
}

/// Judges a refusal by what the broker says of its fence. `identity` is unique to this process.
pub fn judge(fenced: &Fenced, identity: &str, status: &BrokerStatus) -> Verdict {
    if status.uuid != fenced.uuid {
        Verdict::FenceAnew
    } else if status.fence_holder == identity {
        Verdict::GoOnWith(Fenced {
            uuid: status.uuid.clone(),
            epoch: status.fence_epoch,
        })
    } else {
        Verdict::Deposed(format!(
            "'{}' has fenced the broker '{}' after this operator did (epoch {}, ours is {})",
            status.fence_holder, status.broker_name, status.fence_epoch, fenced.epoch
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_epoch_is_judged_by_who_holds_the_fence_of_which_store() {
        let fenced = Fenced {
            uuid: "a".to_owned(),
            epoch: 4,
        };
        let own = Fenced {
            uuid: "a".to_owned(),
            epoch: 5,
        };
        for (uuid, holder, epoch, wanted) in [
            ("b", "", 0, Some(Verdict::FenceAnew)),
            ("b", "other", 9, Some(Verdict::FenceAnew)),
            ("a", "me", 5, Some(Verdict::GoOnWith(own))),
            ("a", "other", 5, None),
        ] {
            let status = BrokerStatus {
                broker_name: "db".to_owned(),
                uuid: uuid.to_owned(),
                fence_holder: holder.to_owned(),
                fence_epoch: epoch,
                ..BrokerStatus::default()
            };
            let verdict = judge(&fenced, "me", &status);
            match wanted {
                Some(wanted) => assert_eq!(verdict, wanted, "{uuid} {holder}"),
                None => assert!(
                    matches!(&verdict, Verdict::Deposed(how) if how.contains("'other'") && how.contains("'db'")),
                    "{verdict:?}"
                ),
            }
        }
    }
}
