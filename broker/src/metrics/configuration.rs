//! Whether the configuration file is followed.

use super::page::{Family, Page};
use crate::config::Live;

static REJECTED: Family = Family::gauge(
    "sluice_configuration_rejected",
    &[],
    "1 while the configuration file cannot be used, and what it said before holds on",
);

pub(super) fn write(page: &mut Page<'_>, live: &Live) {
    page.single(&REJECTED, u64::from(live.file_is_rejected()));
}
