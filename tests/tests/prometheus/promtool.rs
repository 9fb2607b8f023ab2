//! promtool, in a folder.

use std::path::Path;
use std::process::Command;

/// Runs it; gives whether it is content, and what it says.
pub fn ask(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("promtool");
    let run = command.args(arguments).current_dir(folder).output();
    let output = run.expect("promtool is there: Debian's package prometheus brings it");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

/// Runs it; it has to be content.
pub fn run(folder: &Path, arguments: &[&str]) {
    let (content, said) = ask(folder, arguments);
    assert!(content, "promtool {arguments:?}:\n{said}");
}
