// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A last net under what is logged and what errors say: whatever has the form of a secret is shown as `***REDACTED***`.
//!
//! Types that do not print are the first net, and should be enough: what this one catches is a mistake. It knows Bailiwick's own tokens
//! by their prefixes, JWTs by how they begin, addresses by their `@`, and random text by being long and of all kinds of letters. Ids are of
//! small letters and digits, and stay.

use std::borrow::Cow;

/// What stands in place of a secret.
pub(crate) const MASK: &str = "***REDACTED***";

/// Prefixes of tokens: sessions, devices, API keys, service accounts, invitations; clients' secrets and shared keys, codes, refresh tokens, device codes.
const PREFIXES: [&str; 10] = ["bws_", "bwd_", "bwk_", "bwv_", "bwi_", "bcs_", "bck_", "bcc_", "bcr_", "bcd_"];

/// How JWTs begin: `{"` in base64.
const JWT: &str = "eyJ";

/// A word with a prefix that is longer is a secret: the shortest has 32 random bytes.
const LONGEST_NAME: usize = 24;

/// A word of this length with small and large letters and digits is random.
const RANDOM: usize = 32;

/// The text with its secrets masked.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    if !words(text).any(|(_, word)| is_secret(word)) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for (start, word) in words(text) {
        masked.push_str(text.get(end..start).unwrap_or_default());
        masked.push_str(if is_secret(word) { MASK } else { word });
        end = start + word.len();
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    Cow::Owned(masked)
}

/// Runs of what tokens and addresses consist of, with where each begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+' | '~');
    text.split(move |c: char| !is_of_a_word(c)).filter(|word| !word.is_empty()).map(move |word| {
        // A slice of the text: how far its beginning is from the text's.
        (word.as_ptr() as usize - text.as_ptr() as usize, word)
    })
}

fn is_secret(word: &str) -> bool {
    let is_token = || PREFIXES.iter().chain([&JWT]).any(|prefix| word.contains(prefix));
    (word.len() > LONGEST_NAME && is_token()) || is_random(word) || is_address(word)
}

fn is_random(word: &str) -> bool {
    word.len() >= RANDOM
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_address(word: &str) -> bool {
    let Some((name, host)) = word.split_once('@') else { return false };
    !name.is_empty() && host.trim_matches('.').contains('.') && !host.contains('@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_the_form_of_a_secret_is_masked_and_the_rest_stays() {
        let line = "{\"token\":\"bws_AAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"request\":\"req_0190\"}";
        assert_eq!(redact(line), "{\"token\":\"***REDACTED***\",\"request\":\"req_0190\"}");
        assert_eq!(redact("mail to ada@example.org failed"), "mail to ***REDACTED*** failed");
        assert_eq!(redact("key tGq3vXy8ZpL0aWs5RnE7uYk2HbJ4mCd9F"), "key ***REDACTED***");
        for plain in [
            "plain words, and bws_ alone",
            "request=req_01997c3a5b7d7e10a1b2c3d4e5f60718 method=GET route=\"/api/v1/log/{log}/tile/{*tile}\" status=200",
            "acc_01997c3a5b7d4e10a1b2c3d4e5f60718 entered ten_01997c3a5b7d8e10a1b2c3d4e5f60718",
            "2026-11-29T14:45:22.123456Z  INFO server::start: ready url=\"https://127.0.0.1:7341\"",
            "the limit of open files cannot be raised: @ home",
        ] {
            assert!(matches!(redact(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    /// Of the form of each secret that there is.
    fn secret() -> impl Strategy<Value = String> {
        let token = (proptest::sample::select(PREFIXES.to_vec()), "[A-Za-z0-9_-]{43,86}")
            .prop_map(|(prefix, random)| format!("{prefix}{random}"));
        let jwt = "eyJ[A-Za-z0-9_-]{20,60}\\.eyJ[A-Za-z0-9_-]{20,200}\\.[A-Za-z0-9_-]{86}";
        prop_oneof![token, jwt]
    }

    proptest! {
        #[test]
        fn no_secret_is_left_whatever_stands_around_it(
            before in "[ -~éß\\n]{0,80}",
            secret in secret(),
            after in "[ \"',:;<>(){}\\[\\]=&?%/\\n][ -~é\\n]{0,80}",
        ) {
            let masked = redact(&format!("{before}{secret}{after}")).into_owned();
            // Not even the end of it, which a prefix that is recognised would leave.
            let end = secret.get(secret.len() - 16..).unwrap_or_default();
            prop_assert!(!masked.contains(end), "{masked}");
            prop_assert!(masked.contains(MASK));
            prop_assert_eq!(redact(&masked).into_owned(), masked.clone());
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            let _ = redact(&text);
        }

        #[test]
        fn ids_and_times_stay(id in "(acc|ten|ses|req|cli|gnt)_[0-9a-f]{32}", number in any::<u64>()) {
            let line = format!("{id} took {number} us");
            prop_assert_eq!(redact(&line).into_owned(), line.clone());
        }
    }
}
