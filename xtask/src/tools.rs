//! The tools a developer brings: which versions the tests are known to work with, and what this machine has.

use std::fmt;
use std::process::Command;

/// A tool and the oldest version the tests run with. README.md states the same (tidy compares).
pub struct Tool {
    pub name: &'static str,
    pub at_least: Version,
    command: &'static [&'static str],
    /// The word before the version in what the command prints.
    before_version: &'static str,
    get: &'static str,
}

/// Major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// All tools that a suite or a check uses.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "Rust",
        at_least: Version(1, 95),
        command: &["rustc", "--version"],
        before_version: "rustc ",
        get: "install rustup; it reads rust-toolchain.toml",
    },
    Tool {
        name: "Java",
        at_least: Version(17, 0),
        command: &["javac", "-version"],
        before_version: "javac ",
        get: "install a JDK, for example `apt-get install openjdk-17-jdk-headless`",
    },
    Tool {
        name: "Maven",
        at_least: Version(3, 8),
        command: &["mvn", "--batch-mode", "--version"],
        before_version: "Apache Maven ",
        get: "`apt-get install maven`, or Maven's own distribution",
    },
    Tool {
        name: "Go",
        at_least: Version(1, 26),
        command: &["go", "version"],
        before_version: "go version go",
        get: "unpack Go's own distribution, and put its `bin` folder into the path",
    },
    Tool {
        name: "Node.js",
        at_least: Version(20, 0),
        // npm, which tells whose it is.
        command: &["npm", "version", "--json"],
        before_version: "\"node\": \"",
        get: "unpack the distribution of Node.js, which has npm in it",
    },
    Tool {
        name: "Python",
        at_least: Version(3, 11),
        // With pip, which tells whose it is.
        command: &["python3", "-m", "pip", "--version"],
        before_version: "(python ",
        get: "install Python with pip, for example `apt-get install python3-pip`",
    },
];

/// What is missing or too old, one sentence each; empty if all is there. Prints what it found.
pub fn missing() -> Vec<String> {
    TOOLS
        .iter()
        .filter_map(|tool| tool.report(tool.ask().as_deref()))
        .collect()
}

impl Tool {
    /// What the tool prints about its version; nothing if it cannot be started.
    fn ask(&self) -> Option<String> {
        let (program, arguments) = self.command.split_first()?;
        let output = Command::new(program).args(arguments).output().ok()?;
        // Both streams: where a version goes differs between tools and between their versions.
        Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Judges an answer: prints a good one, and returns the sentence for a bad one.
    fn report(&self, answer: Option<&str>) -> Option<String> {
        let need = format!("{} {} or newer is needed", self.name, self.at_least);
        let Some(answer) = answer else {
            return Some(format!(
                "{need}, but `{}` cannot be started: {}",
                self.command.join(" "),
                self.get
            ));
        };
        match version_after(answer, self.before_version) {
            Some(version) if version >= self.at_least => {
                println!("{} {version} ({} or newer is needed)", self.name, self.at_least);
                None
            }
            Some(version) => Some(format!("{need}, but {version} is installed: {}", self.get)),
            None => Some(format!(
                "{need}, but `{}` does not tell its version (it says {:?}): {}",
                self.command.join(" "),
                answer.lines().next().unwrap_or_default(),
                self.get
            )),
        }
    }
}

/// The version that stands right after `before`. Terminal colours may stand around it (Maven's).
fn version_after(answer: &str, before: &str) -> Option<Version> {
    let (_, rest) = answer.split_once(before)?;
    let digits: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let mut numbers = digits.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some(Version(major, minor))
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // "Java 17" and "Node.js 20" are what people say.
            Self(major, 0) => write!(out, "{major}"),
            Self(major, minor) => write!(out, "{major}.{minor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_tools_print_them() {
        for (name, answer, version) in [
            ("Rust", "rustc 1.95.0 (59807616e 2026-04-14)", Version(1, 95)),
            ("Java", "javac 17.0.15", Version(17, 0)),
            (
                "Java",
                "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njavac 21",
                Version(21, 0),
            ),
            (
                "Maven",
                "\u{1b}[1mApache Maven 3.8.7\u{1b}[m\nMaven home: /usr/share/maven",
                Version(3, 8),
            ),
            ("Go", "go version go1.26.8 linux/amd64", Version(1, 26)),
            (
                "Node.js",
                "{\n  \"npm\": \"11.19.1\",\n  \"node\": \"20.20.2\",\n",
                Version(20, 20),
            ),
            (
                "Python",
                "pip 23.2.1 from /usr/lib/python3.11/site-packages/pip (python 3.11)",
                Version(3, 11),
            ),
        ] {
            let tool = TOOLS.iter().find(|tool| tool.name == name).unwrap();
            assert_eq!(
                version_after(answer, tool.before_version),
                Some(version),
                "{name}"
            );
            assert_eq!(tool.report(Some(answer)), None, "{name}");
        }
    }

    fn rust() -> &'static Tool {
        TOOLS.iter().find(|tool| tool.name == "Rust").unwrap()
    }

    #[test]
    fn an_old_tool_is_named_with_what_to_do() {
        let sentence = rust().report(Some("rustc 1.9.0 (e4e8b6668 2016-05-18)")).unwrap();
        assert_eq!(
            sentence,
            "Rust 1.95 or newer is needed, but 1.9 is installed: install rustup; it reads rust-toolchain.toml"
        );
    }

    #[test]
    fn a_missing_tool_is_named_with_the_command_that_was_tried() {
        let sentence = rust().report(None).unwrap();
        assert!(
            sentence.contains("`rustc --version` cannot be started"),
            "{sentence}"
        );
    }

    #[test]
    fn an_answer_without_a_version_is_not_taken_for_one() {
        let sentence = rust().report(Some("rustc: not today")).unwrap();
        assert!(
            sentence.contains("does not tell its version (it says \"rustc: not today\")"),
            "{sentence}"
        );
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        assert!(Version(1, 9) < Version(1, 95));
        assert!(Version(17, 0) < Version(21, 0));
    }
}
