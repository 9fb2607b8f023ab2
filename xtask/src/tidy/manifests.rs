//! What every package's Cargo.toml has.

use super::Violation;
use super::tree::Tree;

/// Every package takes the workspace's lints.
pub fn lints_are_inherited(tree: &Tree) -> Vec<Violation> {
    let manifests = tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests
        .filter_map(|file| {
            let message = match file.text.parse::<toml::Table>() {
                Err(error) => format!("not TOML: {}", error.message()),
                Ok(manifest) if inherits_lints(&manifest) => return None,
                Ok(_) => "write `[lints]` with `workspace = true`".to_owned(),
            };
            Some(Violation::new(&file.path, 1, message))
        })
        .collect()
}

fn inherits_lints(manifest: &toml::Table) -> bool {
    let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    inherited.and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    #[test]
    fn a_package_that_inherits_passes() {
        passes(
            lints_are_inherited,
            &[
                ("Cargo.toml", "[workspace]\n"),
                (
                    "proto/Cargo.toml",
                    "[package]\nname = \"proto\"\n[lints]\nworkspace = true\n",
                ),
                ("cli/Cargo.toml", "lints.workspace = true\n"),
            ],
        );
    }

    #[test]
    fn a_package_with_lints_of_its_own_or_none_is_caught() {
        let files = [
            ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("b/Cargo.toml", "[lints]\nworkspace = false\n"),
            ("c/Cargo.toml", "[lints.clippy]\ntodo = \"deny\"\n"),
            ("d/Cargo.toml", "lints = [\n"),
        ];
        let expected = [
            "a/Cargo.toml:1",
            "b/Cargo.toml:1",
            "c/Cargo.toml:1",
            "d/Cargo.toml:1",
        ];
        assert_eq!(places(lints_are_inherited, &files), expected);
    }
}
