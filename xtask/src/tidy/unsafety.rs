//! Where `unsafe` and IO may stand.

use super::Violation;
use super::tokens::{self, Token};
use super::tree::Tree;

/// The one file that maps files into memory.
const MAPPING: &str = "broker/store/src/mmap.rs";

const CORE: &str = "broker/core/src/";

/// `unsafe` stands in one file, and the core forbids it to itself.
pub fn unsafe_is_in_one_file(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust() {
        let tokens = tokens::of(file);
        if file.path != MAPPING {
            let found = tokens::find(&tokens, &["unsafe"]);
            let message = format!("`unsafe` stands in {MAPPING} alone");
            violations
                .extend(found.map(|index| Violation::new(&file.path, tokens[index].line, message.as_str())));
        }
        let forbids = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
        if file.path == format!("{CORE}lib.rs") && tokens::find(&tokens, &forbids).next().is_none() {
            violations.push(Violation::new(&file.path, 1, "write `#![forbid(unsafe_code)]`"));
        }
    }
    violations
}

/// The core names no part of the standard library that reaches outside. Addresses (`std::net::SocketAddr`)
/// are values.
pub fn core_is_pure(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with(CORE)) {
        let tokens = tokens::of(file);
        violations.extend(reaching_outside(&tokens).map(|token| {
            let message = format!("{} reaches outside; the core is given what it needs", token.text);
            Violation::new(&file.path, token.line, message)
        }));
    }
    violations
}

/// The modules in `std::fs` and in `use std::{collections, fs}`, and the types that are sockets.
fn reaching_outside(tokens: &[Token]) -> impl Iterator<Item = &Token> {
    let after_std = tokens::find(tokens, &["std", ":", ":"]).map(|index| index + 3);
    let named = after_std.flat_map(|first| {
        let is_list = tokens.get(first).is_some_and(|token| token.text == "{");
        let end = if is_list {
            list_end(tokens, first)
        } else {
            first + 1
        };
        tokens.get(first..end).unwrap_or_default()
    });
    let modules =
        named.filter(|token| matches!(token.text.as_str(), "fs" | "process" | "env" | "os" | "thread"));
    let sockets = ["TcpListener", "TcpStream", "UdpSocket", "ToSocketAddrs"];
    modules.chain(
        tokens
            .iter()
            .filter(move |token| sockets.contains(&token.text.as_str())),
    )
}

fn list_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    let closes = tokens[open..].iter().position(|token| {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    closes.map_or(tokens.len(), |length| open + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    #[test]
    fn unsafe_in_the_mapping_file_passes() {
        passes(
            unsafe_is_in_one_file,
            &[
                ("broker/store/src/mmap.rs", "fn map() { unsafe { map_file() } }\n"),
                ("broker/store/src/read.rs", "// unsafe\n#![deny(unsafe_code)]\n"),
                ("broker/core/src/lib.rs", "//! Core.\n#![forbid(unsafe_code)]\n"),
            ],
        );
    }

    #[test]
    fn unsafe_elsewhere_is_caught() {
        let files = [
            ("broker/src/a.rs", "fn a() {\n    unsafe { b() }\n}\n"),
            ("cli/src/mmap.rs", "unsafe fn a() {}\n"),
        ];
        assert_eq!(
            places(unsafe_is_in_one_file, &files),
            ["broker/src/a.rs:2", "cli/src/mmap.rs:1"]
        );
    }

    #[test]
    fn a_core_that_does_not_forbid_it_is_caught() {
        let files = [("broker/core/src/lib.rs", "#![deny(unsafe_code)]\n")];
        assert_eq!(
            places(unsafe_is_in_one_file, &files),
            ["broker/core/src/lib.rs:1"]
        );
    }

    #[test]
    fn a_pure_core_passes() {
        let source = "use std::collections::HashMap;\nuse std::{fmt, sync::Arc};\n\
                      use std::net::{IpAddr, SocketAddr};\nlet fs = env;\n// std::fs\n";
        passes(
            core_is_pure,
            &[
                ("broker/core/src/a.rs", source),
                ("broker/store/src/a.rs", "use std::fs;\n"),
            ],
        );
    }

    #[test]
    fn a_core_that_reaches_outside_is_caught() {
        let source = "use std::fs::File;\nuse std::{\n    collections::BTreeMap,\n    os,\n};\n\
                      let home = std::env::var(\"HOME\");\nuse std::net::TcpStream;\n";
        let found = places(core_is_pure, &[("broker/core/src/a.rs", source)]);
        assert_eq!(
            found,
            [1, 4, 6, 7].map(|line| format!("broker/core/src/a.rs:{line}"))
        );
    }
}
