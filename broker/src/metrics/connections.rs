//! The broker's ports: their connections, and the certificate that they show.

use super::Sources;
use super::page::{Family, Page};
use crate::listener::OpenConnections;
use sluice_access::tls::Expiry;

static OPEN: Family = Family::gauge("sluice_connections", &["listener"], "Connections that stand");
static MAX: Family = Family::gauge(
    "sluice_connections_limit",
    &["listener"],
    "Connections that may stand at a time",
);
static ACCEPTED: Family = Family::counter(
    "sluice_connections_accepted_total",
    &["listener"],
    "Connections accepted",
);
static REFUSED: Family = Family::counter(
    "sluice_connections_refused_total",
    &["listener", "reason"],
    "Connections that came to nothing",
);
static EXPIRES: Family = Family::gauge(
    "sluice_certificate_expiry_timestamp_seconds",
    &[],
    "When the broker's certificate expires, in seconds since 1970",
);

/// The ports, and what they have.
#[derive(Clone)]
pub struct PortSources {
    /// By the names of the ports.
    pub connections: [(&'static str, OpenConnections); 3],
    /// The certificate's end.
    pub certificate: Expiry,
}

pub(super) fn write(page: &mut Page<'_>, sources: &Sources) {
    let ports = &sources.ports.connections;
    let each = |number: fn(&OpenConnections) -> u64| {
        ports
            .iter()
            .map(move |(name, connections)| ([*name], number(connections)))
    };
    page.few(&OPEN, each(OpenConnections::count));
    page.few(&MAX, each(OpenConnections::max));
    page.few(&ACCEPTED, each(OpenConnections::accepted));
    let refused = ports
        .iter()
        .flat_map(|(name, connections)| connections.lost().map(|(why, count)| ([*name, why], count)));
    page.few(&REFUSED, refused);
    // One that cannot be read is not shown to clients either.
    if let Some(seconds) = sources.ports.certificate.seconds() {
        page.single(&EXPIRES, seconds);
    }
}
