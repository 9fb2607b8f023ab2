//! Attributes that switch something off.

use super::Violation;
use super::tokens::{self, Token};
use super::tree::Tree;

/// Every `allow` and `expect` says why, `allow(clippy::too_many_lines)` among them.
pub fn lints_are_relaxed_for_a_reason(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust() {
        let tokens = tokens::of(file);
        for attribute in attributes(&tokens) {
            for inner in attribute.relaxing() {
                if tokens::find(inner, &["reason", "="]).next().is_none() {
                    let message = "say why the lint does not apply here: reason = \"…\"";
                    violations.push(Violation::new(&file.path, attribute.line(), message));
                }
            }
        }
    }
    violations
}

/// No `#[ignore]`: a test that does not run proves nothing. What is wrong is asserted as it is, with an issue
/// number.
pub fn no_test_is_ignored(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust() {
        let tokens = tokens::of(file);
        let ignoring =
            attributes(&tokens).filter(|attribute| attribute.name() == "ignore" || attribute.adds("ignore"));
        violations.extend(ignoring.map(|attribute| {
            Violation::new(
                &file.path,
                attribute.line(),
                "no test is ignored: mend it, or assert what it does today",
            )
        }));
    }
    violations
}

/// What stands between `#[` and its `]`, both included.
struct Attribute<'a>(&'a [Token]);

fn attributes(tokens: &[Token]) -> impl Iterator<Item = Attribute<'_>> {
    let starts = (0..tokens.len()).filter_map(|hash| {
        let open = match (
            tokens[hash].text.as_str(),
            next(tokens, hash, 1),
            next(tokens, hash, 2),
        ) {
            ("#", "[", _) => hash + 1,
            ("#", "!", "[") => hash + 2,
            _ => return None,
        };
        Some(open)
    });
    starts.map(|open| Attribute(&tokens[open..=closing(tokens, open)]))
}

fn next(tokens: &[Token], index: usize, by: usize) -> &str {
    tokens.get(index + by).map_or("", |token| token.text.as_str())
}

/// The index of the bracket that closes the one at `open`; tokens come from a tree, so there is one.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

impl Attribute<'_> {
    fn line(&self) -> usize {
        self.0[0].line
    }

    fn name(&self) -> &str {
        next(self.0, 0, 1)
    }

    /// Tells whether `cfg_attr(condition, …)` adds the attribute of that name.
    fn adds(&self, name: &str) -> bool {
        self.name() == "cfg_attr" && tokens::find(self.0, &[",", name]).next().is_some()
    }

    /// The bracketed part of every `allow(…)` and `expect(…)` in it, also of those that `cfg_attr` adds.
    fn relaxing(&self) -> Vec<&[Token]> {
        let is_relaxing = |index: usize| {
            let starts = self.0[index].text == "[" && index == 0
                || self.name() == "cfg_attr" && self.0[index].text == ",";
            starts && matches!(next(self.0, index, 1), "allow" | "expect") && next(self.0, index, 2) == "("
        };
        let opens = (0..self.0.len())
            .filter(|&index| is_relaxing(index))
            .map(|index| index + 2);
        opens.map(|open| &self.0[open..=closing(self.0, open)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    #[test]
    fn a_reason_passes() {
        let source = r#"
            #![allow(unsafe_code, reason = "the one mapping")]
            #[expect(clippy::too_many_lines, reason = "one row a status code")]
            #[cfg_attr(test, allow(dead_code, reason = "the tests use half of it"))]
            #[derive(Debug)]
            fn f(allow: fn(u32), expect: u32) { allow(expect); option.expect("there"); }
            // #[allow(dead_code)]
        "#;
        passes(lints_are_relaxed_for_a_reason, &[("a.rs", source)]);
    }

    #[test]
    fn a_missing_reason_is_caught() {
        let source = "#![allow(unsafe_code)]\n\
                      #[allow(clippy::too_many_lines)]\nfn f() {\n    #[expect(unused)]\n    let a = 1;\n}\n\
                      #[cfg_attr(test, allow(dead_code))]\nfn g() {}\n";
        let found = places(lints_are_relaxed_for_a_reason, &[("a.rs", source)]);
        assert_eq!(found, ["a.rs:1", "a.rs:2", "a.rs:4", "a.rs:7"]);
    }

    #[test]
    fn a_test_that_runs_passes() {
        let source = "#[test]\nfn ignore() {}\n\
                      #[derive(Deserialize)]\nstruct S {\n    #[serde(ignore)]\n    a: u32,\n}\n";
        passes(no_test_is_ignored, &[("a.rs", source)]);
    }

    #[test]
    fn an_ignored_test_is_caught() {
        let source = "#[test]\n#[ignore]\nfn a() {}\n#[test]\n#[ignore = \"slow\"]\nfn b() {}\n\
                      #[cfg_attr(debug_assertions, ignore)]\nfn c() {}\n";
        assert_eq!(
            places(no_test_is_ignored, &[("a.rs", source)]),
            ["a.rs:2", "a.rs:5", "a.rs:7"]
        );
    }
}
