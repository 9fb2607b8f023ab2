//! What docs/clients.md says is what the tests prove, and no more.

mod features;
mod quirks;

/// The cells of a line of a table; none of any other line.
fn cells(line: &str) -> Vec<&str> {
    if !line.starts_with('|') {
        return Vec::new();
    }
    line.trim_matches('|').split('|').map(str::trim).collect()
}
