//! The project speaks only of itself: no text names a place of the machine it was written on, nor a package
//! registry's host, which is a setting of whoever builds it.

use super::Violation;
use super::tree::{File, Tree};

/// No file names such a place. Cargo.lock does: cargo writes it.
pub fn text_names_no_outside_place(tree: &Tree) -> Vec<Violation> {
    let hosts = registry_hosts();
    let files = tree
        .files
        .iter()
        .filter(|file| file.path.rsplit('/').next() != Some("Cargo.lock"));
    files.flat_map(|file| of_file(file, &hosts)).collect()
}

fn of_file(file: &File, hosts: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
            violations.push(Violation::new(
                &file.path,
                number,
                format!("names the registry host {host}: leave it out"),
            ));
        }
        if names_machine_folder(line) {
            violations.push(Violation::new(
                &file.path,
                number,
                "names a folder of one machine: leave it out",
            ));
        }
    }
    violations
}

/// The hosts, made of parts: this file is checked too.
fn registry_hosts() -> Vec<String> {
    let hosts: &[&[&str]] = &[
        &["crates", "io"],
        &["registry", "npmjs", "org"],
        &["registry", "yarnpkg", "com"],
        &["repo", "maven", "apache", "org"],
        &["repo1", "maven", "org"],
        &["central", "sonatype", "com"],
        &["proxy", "golang", "org"],
        &["sum", "golang", "org"],
        &["pypi", "org"],
        &["files", "pythonhosted", "org"],
        &["deb", "debian", "org"],
        &["security", "debian", "org"],
    ];
    hosts.iter().map(|labels| labels.join(".")).collect()
}

/// A path up and into a folder beside the repository, or an absolute one into the folder it lay in.
fn names_machine_folder(line: &str) -> bool {
    let beside = ["..", "shared"].join("/");
    let above = ["", "work", ""].join("/");
    let is_part_of_path = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '~' | '}');
    let absolute = |at: usize| !line[..at].ends_with(is_part_of_path);
    line.contains(&beside) || line.match_indices(&above).any(|(at, _)| absolute(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    #[test]
    fn ordinary_text_passes() {
        let text = "See https://example.org/work/here, src/work/a.rs and ${HOME}/work/x.\n\
                    We work/play; ../sharing is fine.\n";
        let lock = format!(
            "source = \"registry+https://example.org/{}-index\"\n",
            registry_hosts()[0]
        );
        passes(
            text_names_no_outside_place,
            &[("a.md", text), ("Cargo.lock", &lock), ("fuzz/Cargo.lock", &lock)],
        );
    }

    #[test]
    fn registry_hosts_are_caught_in_any_file() {
        for host in registry_hosts() {
            let text = format!("first\nurl = \"https://{host}/x\"\n");
            assert_eq!(
                places(text_names_no_outside_place, &[("pom.xml", &text)]),
                ["pom.xml:2"],
                "{host}"
            );
        }
    }

    #[test]
    fn folders_of_one_machine_are_caught() {
        let beside = ["..", "shared", "design.md"].join("/");
        let above = ["", "work", "main"].join("/");
        for path in [
            format!("[design]({beside})"),
            format!("cd {above}"),
            above,
            format!("x = \"../{beside}\""),
        ] {
            assert_eq!(
                places(text_names_no_outside_place, &[("a.sh", &path)]),
                ["a.sh:1"],
                "{path}"
            );
        }
    }
}
