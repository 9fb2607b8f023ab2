//! The Alertmanager's configurations as docs/alert-webhook.md has them.

use std::path::Path;

use sluice_tests::binaries;

/// What the page calls the operator's port.
const ADDRESS: &str = "sluice.sluice-system:8090";
/// Where the page has the Alertmanager's secrets.
const SECRETS: &str = "/etc/alertmanager/sluice";

/// The page's receiver with a token, for a port and a folder of this machine.
pub fn with_token(port: u16, secrets: &Path) -> String {
    block(0, &format!("127.0.0.1:{port}"), secrets)
}

/// The one with a certificate. The operator is called by a name that its certificate has.
pub fn with_certificate(port: u16, secrets: &Path) -> String {
    block(1, &format!("localhost:{port}"), secrets)
}

fn block(index: usize, address: &str, secrets: &Path) -> String {
    let page = std::fs::read_to_string(binaries::workspace().join("docs/alert-webhook.md")).unwrap();
    let block = page.split("```yaml\n").nth(index + 1).unwrap();
    let (block, _) = block.split_once("```").unwrap();
    assert_eq!(block.matches(ADDRESS).count(), 1, "{block}");
    assert!(block.contains(SECRETS), "{block}");
    let secrets = secrets.display().to_string();
    block.replace(ADDRESS, address).replace(SECRETS, &secrets)
}
