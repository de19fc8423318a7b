// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Filters (RFC 7644, section 3.4.2.2), as far as provisioning systems use them: `attribute eq value`, up to four of them joined by
//! `and`. Read in one pass; nothing nests.

use super::ScimError;

/// What is looked for: all of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Vec<Clause>);

/// That an attribute has this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The attribute, in lower case, without the schema's name before it.
    pub attribute: String,
    /// The value.
    pub value: String,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`ScimError::InvalidFilter`].
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > LONGEST {
            return Err(ScimError::InvalidFilter("longer than 1,024 bytes"));
        }
        let (mut clauses, mut rest) = (Vec::new(), text.trim());
        loop {
            let (clause, after) = Clause::read(rest)?;
            clauses.push(clause);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Filter(clauses));
            }
            if !after.starts_with(' ') {
                return Err(ScimError::InvalidFilter("a space goes before `and`"));
            }
            if clauses.len() >= MOST {
                return Err(ScimError::InvalidFilter("at most four clauses"));
            }
            rest = word(rest, "and").ok_or(ScimError::InvalidFilter("only `and` joins clauses"))?;
        }
    }

    /// What is looked for.
    pub fn clauses(&self) -> &[Clause] {
        &self.0
    }
}

impl Clause {
    /// Reads one clause, and what follows it.
    pub(super) fn read(text: &str) -> Result<(Self, &str), ScimError> {
        let unreadable = ScimError::InvalidFilter("expected `attribute eq \"value\"`");
        let Some((attribute, rest)) = text.split_once(' ') else { return Err(unreadable) };
        let Some(rest) = word(rest.trim_start(), "eq") else {
            return Err(ScimError::InvalidFilter("only `eq` is supported"));
        };
        let (value, rest) = value(rest.trim_start()).ok_or(unreadable)?;
        Ok((Clause { attribute: super::patch::bare(attribute)?.to_ascii_lowercase(), value }, rest))
    }
}

/// What follows a word, in upper or lower case, and a space.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (found, rest) = text.split_at_checked(word.len())?;
    (found.eq_ignore_ascii_case(word) && rest.starts_with(' ')).then(|| rest.trim_start())
}

/// A JSON string, or `true` or `false`, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    for plain in ["true", "false"] {
        if let Some(rest) = text.strip_prefix(plain) {
            return Some((plain.to_owned(), rest));
        }
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = stream.next()?.ok()?;
    Some((value, text.get(stream.byte_offset()..)?))
}

const LONGEST: usize = 1_024;
const MOST: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> (String, String) {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.clauses().len(), 1);
        (filter.clauses()[0].attribute.clone(), filter.clauses()[0].value.clone())
    }

    #[test]
    fn what_provisioning_systems_ask_is_read() {
        let of = |attribute: &str, value: &str| (attribute.to_owned(), value.to_owned());
        assert_eq!(one(r#"userName eq "ada@acme.example""#), of("username", "ada@acme.example"));
        assert_eq!(one(r#" externalId Eq "a \"b\" and c" "#), of("externalid", r#"a "b" and c"#));
        assert_eq!(one(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a""#), of("username", "a"));
        let both = Filter::parse(r#"id eq "tea_1" and members eq "usr_1""#).unwrap();
        assert_eq!(both.clauses().len(), 2);
    }

    #[test]
    fn what_is_not_supported_is_said_and_not_guessed() {
        for bad in [
            "",
            "userName",
            "userName eq",
            "userName eq ada",
            r#"userName co "a""#,
            r#"userName eq "a" or userName eq "b""#,
            r#"(userName eq "a")"#,
            r#"not (userName eq "a")"#,
            r#"userName eq "a" and"#,
            r#"userName eq "a"and userName eq "b""#,
            r#"a eq "1" and a eq "1" and a eq "1" and a eq "1" and a eq "1""#,
            r#"user name eq "a""#,
            r#"a;b eq "c""#,
            &format!(r#"userName eq "{}""#, "a".repeat(2_000)),
            &"(".repeat(1_000),
            r#"userName eq "a"#,
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_filter_stops_the_reader(text in ".{0,200}") {
            let _ = Filter::parse(&text);
        }
    }
}
