//! docs/sluicectl.md: its commands are run as they are written, one after another, against one broker.

use std::process::Command;

use sluice_tests::binaries;
use sluice_tests::process::Setup;

/// From here on the page is about a broker that is stopped.
const STOPPED: &str = "### The files of a stopped broker";

/// The lines of the page's blocks of shell commands; the one heading that matters stands among them.
fn commands(page: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in page.lines() {
        match line {
            "```sh" => in_block = true,
            "```" => in_block = false,
            line if in_block || line == STOPPED => found.push(line),
            _ => {}
        }
    }
    found
}

/// What the line's comment says about its exit code; 0 unless it does.
fn exit_code(line: &str) -> i32 {
    let said = line
        .split_once("exit code ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit));
    said.map_or(0, |digits| digits.collect::<String>().parse().unwrap())
}

#[test]
fn the_commands_of_the_page_do_what_it_says() {
    let page = std::fs::read_to_string(binaries::workspace().join("docs").join("sluicectl.md")).unwrap();
    let mut broker = Setup::new().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(binaries::sluicectl().unwrap(), bin.join("sluicectl")).unwrap();
    std::os::unix::fs::symlink(broker.data_dir(), home.path().join("sluice-data")).unwrap();
    std::fs::write(home.path().join("invoice.pdf"), b"%PDF").unwrap();
    let lines = commands(&page);
    assert!(lines.len() > 40, "{lines:?}");
    for line in lines {
        if line == STOPPED {
            assert!(broker.stop().unwrap().success());
            continue;
        }
        // Built here already; and what asks a Kubernetes is run where there is one, by the suite kube_resources.
        if line.starts_with("cargo ") || line.starts_with("sluicectl autoscale ") {
            continue;
        }
        let output = Command::new("bash")
            .args(["-c", line])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("HOME", home.path())
            .env("SLUICE_ADMIN", broker.admin_endpoint())
            .current_dir(home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit_code(line)), "{line}: {said}");
    }
}
