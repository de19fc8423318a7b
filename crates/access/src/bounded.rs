// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Policies that somebody else wrote, before Cedar reads them.
//!
//! Cedar's parser, type checker and evaluator recurse into what they read, and so does freeing it: a text of a few hundred
//! parentheses would overflow a thread's stack, which ends the process. So its nesting and the length of its chains are bounded
//! before it is parsed, and it is parsed on a stack that has room for several times as much. What is left to evaluate then is so flat that
//! Cedar's own check of the stack never refuses it.

use std::thread;

use tokio::runtime::{Handle, RuntimeFlavor};

/// How deeply parentheses, brackets and braces may be nested.
pub(crate) const MAX_NESTING: usize = 24;
/// How many operators, members and conditions one policy may have: each may be one level of what it means.
pub(crate) const MAX_OPERATORS: usize = 250;

/// How many operators and the like all policies of a text may have together, and how many elements of sets, records and lists: what
/// is checked is checked for each kind of question, and a thousand of them take a second.
pub(crate) const MAX_OPERATORS_OF_ALL: usize = 4_000;
pub(crate) const MAX_ELEMENTS: usize = 2_000;
/// How long a text in quotes may be, in bytes, and how often `like` may stand in all policies: comparing a text with a pattern takes
/// as long as one times the other.
pub(crate) const MAX_LITERAL: usize = 256;
pub(crate) const MAX_LIKES: usize = 32;

/// Where a text goes beyond the bounds, in bytes from its beginning, and how.
///
/// It takes for text and comment what Cedar's lexer takes for them, and nothing else. What does not pair is refused here: the parser
/// passes over some errors and goes on, and would find it nested where this did not.
pub(crate) fn beyond(text: &str) -> Option<(usize, String)> {
    let (mut open, mut operators) = (Vec::new(), 0_usize);
    let (mut operators_before, mut elements, mut likes) = (0_usize, 0_usize, 0_usize);
    let mut bytes = text.bytes().enumerate().peekable();
    let mut in_word = false;
    while let Some((at, byte)) = bytes.next() {
        let was_in_word = std::mem::replace(&mut in_word, byte.is_ascii_alphanumeric() || byte == b'_');
        match byte {
            b'"' => {
                while let Some((end, byte)) = bytes.next() {
                    if end - at > MAX_LITERAL {
                        return Some((at, format!("a text in quotes has at most {MAX_LITERAL} bytes")));
                    }
                    match byte {
                        // No text goes on behind a line's end that is escaped.
                        b'\\' if bytes.peek().is_some_and(|(_, next)| *next == b'\n') => break,
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'/' if bytes.next_if(|(_, next)| *next == b'/').is_some() => {
                while bytes.next_if(|(_, next)| !matches!(next, b'\n' | b'\r')).is_some() {}
            }
            b'(' => open.push(b')'),
            b'[' => {
                operators += 1;
                elements += 1;
                open.push(b']');
            }
            b'{' => {
                elements += 1;
                // A condition of the policy.
                operators += usize::from(open.is_empty());
                open.push(b'}');
            }
            b')' | b']' | b'}' => {
                let closes = open.pop();
                if closes != Some(byte) {
                    return Some((at, format!("`{}` closes nothing", char::from(byte))));
                }
            }
            b';' if open.is_empty() => operators_before += std::mem::take(&mut operators),
            b',' => elements += 1,
            b'|' | b'&' => operators += usize::from(bytes.next_if(|(_, next)| *next == byte).is_some()),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'.' | b'!' => operators += 1,
            b'i' if !was_in_word && is_word(text, at, "if") => operators += 1,
            b'l' if !was_in_word && is_word(text, at, "like") => likes += 1,
            _ => {}
        }
        if open.len() > MAX_NESTING {
            return Some((at, format!("it is nested more than {MAX_NESTING} deep")));
        }
        if operators > MAX_OPERATORS {
            let why = format!(
                "a policy has at most {MAX_OPERATORS} operators, members and conditions: make several policies"
            );
            return Some((at, why));
        }
        if operators_before + operators > MAX_OPERATORS_OF_ALL {
            let why = format!(
                "a tenant's policies have at most {MAX_OPERATORS_OF_ALL} operators, members and conditions"
            );
            return Some((at, why));
        }
        if likes > MAX_LIKES {
            return Some((at, format!("a tenant's policies have `like` at most {MAX_LIKES} times")));
        }
        if elements > MAX_ELEMENTS {
            return Some((
                at,
                format!(
                    "a tenant's policies have at most {MAX_ELEMENTS} elements of sets, records and lists"
                ),
            ));
        }
    }
    None
}

/// Whether this word stands there, and ends.
fn is_word(text: &str, at: usize, word: &str) -> bool {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let after = rest.get(word.len()).copied().unwrap_or(b' ');
    rest.starts_with(word.as_bytes()) && !after.is_ascii_alphanumeric() && after != b'_'
}

/// Does something on a stack with room for what is within the bounds, in any build. It may take a second: other requests go on
/// meanwhile.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let aside = || {
        thread::scope(|scope| {
            let working =
                thread::Builder::new().name("policies".into()).stack_size(STACK).spawn_scoped(scope, work)?;
            working.join().map_err(|_| std::io::Error::other("reading policies ended early"))
        })
    };
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(aside),
        _ => aside(),
    }
}

/// Memory that is touched only as far as it is needed.
const STACK: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deep_or_long_is_found_before_it_is_parsed() {
        let within = |condition: &str| {
            format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};")
        };
        let nested = |open: &str, close: &str, times: usize| {
            within(&format!("{}1{}", open.repeat(times), close.repeat(times)))
        };
        let chained = |link: &str, times: usize| within(&format!("true{}", link.repeat(times)));
        for (text, fits) in [
            (nested("(", ")", MAX_NESTING - 1), true),
            (nested("(", ")", MAX_NESTING), false),
            (nested("[", "]", 150), false),
            (nested("{a:", "}", 150), false),
            (chained(" || true", MAX_OPERATORS - 1), true),
            (chained(" || true", MAX_OPERATORS), false),
            (chained("&&true", 10_000), false),
            (chained(".a", 10_000), false),
            (chained("[\"a\"]", 10_000), false),
            (chained("+1", 10_000), false),
            (chained("*1", 10_000), false),
            (chained("%1", 10_000), false),
            (format!("{}{}", within("true"), within(&"!".repeat(300))), false),
            (within(&"if true then true else ".repeat(300)), false),
            (format!("permit (principal, action, resource) {};", "when { true } ".repeat(300)), false),
            // Texts and comments say what they like; a policy's count is its own.
            (within(&format!("\"{}\\\"\" == \"\"", "((((".repeat(50))), true),
            (within(&format!("\"{}\" like \"*\"", "a".repeat(MAX_LITERAL - 1))), true),
            (within(&format!("\"{}\" like \"*\"", "a".repeat(MAX_LITERAL + 1))), false),
            (within(&format!("\"a\" like \"{}\"", "*a".repeat(MAX_LITERAL))), false),
            (within("\"a\" like \"*\"").repeat(MAX_LIKES), true),
            (within("\"a\" like \"*\"").repeat(MAX_LIKES + 1), false),
            (within("context.likes == context.unlike").repeat(2 * MAX_LIKES), true),
            (within(&format!("[{}].contains(1)", "1,".repeat(MAX_ELEMENTS - 50))), true),
            (within(&format!("[{}].contains(1)", "1,".repeat(MAX_ELEMENTS))), false),
            (within(&format!("[{}].contains(1)", "{}".repeat(MAX_ELEMENTS))), false),
            (within("[1, 2, 3, 4].contains(1)").repeat(2 * MAX_ELEMENTS / 10), false),
            (chained(" && true", 200).repeat(40), false),
            (format!("// {}\n{}", "(".repeat(500), within("true")), true),
            (chained(" && true", 200).repeat(19), true),
            (within("context.iffy || context.gif"), true),
            // And they end where Cedar has them end.
            (format!("//\r{}", nested("(", ")", 150)), false),
            (format!("\"\\\n{}", nested("(", ")", 150)), false),
            // What the parser passes over does not make a count begin anew.
            (within(&"( ] ".repeat(150)), false),
            (within(&"( ) ) ".repeat(150)), false),
            (within(&format!("({}", "true || true ; ".repeat(300))), false),
        ] {
            assert_eq!(beyond(&text).is_none(), fits, "{}", &text[..text.len().min(200)]);
        }
    }

    #[test]
    fn a_large_stack_is_large() {
        fn deep(levels: usize) -> usize {
            let room = std::hint::black_box([levels; 512]);
            if levels == 0 { 0 } else { deep(levels - 1) + room[levels % 512] / levels.max(1) }
        }
        assert_eq!(on_large_stack(|| deep(5_000)).unwrap(), 5_000);
        assert!(on_large_stack(|| panic!("a reader's mistake")).is_err());
    }
}
