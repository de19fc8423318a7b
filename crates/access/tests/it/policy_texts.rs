// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Texts that are to overflow a stack.

use access::Policies;
use proptest::prelude::*;

/// What may be nested, chained, skipped or passed over, each many times.
const PIECES: [&str; 36] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ",",
    "\"",
    "\\",
    "//",
    "\r",
    "\n",
    "!",
    "-",
    "+1",
    "*1",
    "%1",
    "/1",
    "||true",
    "&&true",
    ".a",
    "[\"a\"]",
    "()",
    ".contains(1)",
    " == 1",
    " in [",
    " has a",
    " like \"*\"",
    " is A::",
    "{a:",
    " if ",
    " then ",
    " else ",
    " when { true }",
    "1",
];

/// Around the pieces, so that many get as far as being an expression.
const AROUND: [(&str, &str); 4] = [
    ("", ""),
    ("@id(\"a\") permit (principal, action, resource) when { ", " };"),
    (
        "@id(\"a\") permit (principal, action, resource) when { true };\n@id(\"b\") forbid (principal, action, resource) ",
        ";",
    ),
    ("@id(\"a\") permit (principal == ", ", action, resource);"),
];

/// As the server reads it, on a test's thread. An overflow ends the process, and with it the test.
fn read(text: &str) {
    thread_local!(static BUILT_IN: Policies = Policies::built_in().unwrap());
    BUILT_IN.with(|built_in| drop(built_in.with_tenant(&[], text)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_text_overflows_a_stack(
        around in proptest::sample::select(&AROUND[..]),
        pieces in proptest::collection::vec((proptest::sample::select(&PIECES[..]), prop_oneof![1..4_usize, 20..260_usize, 3_000..9_000_usize]), 1..8),
    ) {
        let mut text = around.0.to_owned();
        for (piece, times) in pieces {
            text.push_str(&piece.repeat(times.min(50_000 / piece.len())));
        }
        text.push_str(around.1);
        read(&text);
    }

    /// The same with what pairs.
    #[test]
    fn no_nesting_overflows_a_stack(
        around in proptest::sample::select(&AROUND[..]),
        layers in proptest::collection::vec(
            (proptest::sample::select(&[("(", ")"), ("[", "]"), ("{a:", "}"), ("!(", ")"), ("if ", " then 1 else 1"), ("1+(", ")"), ("//\r(", ")"), ("\"\"(", ")"), ("(1 @", ")")][..]), prop_oneof![1..12_usize, 1_000..6_000_usize]),
            1..12,
        ),
        link in proptest::sample::select(&["||true", "&&true", ".a", "[\"a\"]", "+1", "*1", "()", ""][..]),
        links in 0..250_usize,
    ) {
        let mut text = format!("1{}", link.repeat(links));
        for ((open, close), times) in layers {
            text = {
                let times = times.min(60_000_usize.saturating_sub(text.len()) / (open.len() + close.len()));
                format!("{}{text}{}", open.repeat(times), close.repeat(times))
            };
        }
        read(&format!("{}{text}{}", around.0, around.1));
    }
}
