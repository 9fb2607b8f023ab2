//! The words for why sends are refused for want of something that the system gives.

use sluice_core::log::NotProposed;

/// All of them, as metrics and the admin API name them.
pub const REFUSALS: [&str; 4] = ["disk_full", "disk_nearly_full", "not_permitted", "no_descriptors"];

/// The word for one.
pub fn word(why: &NotProposed) -> &'static str {
    match why {
        NotProposed::NearlyFull => REFUSALS[1],
        NotProposed::NotPermitted => REFUSALS[2],
        NotProposed::NoDescriptors => REFUSALS[3],
        // The others are of single proposals, and nothing that holds for all.
        _ => REFUSALS[0],
    }
}
