// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which passwords are not taken. Whoever has a stolen database tries those first that everybody has; what keeps the data is
//! that the password is none of them (NIST SP 800-63B, section 5.1.1.2).

use zeroize::Zeroizing;

/// Why this cannot be a new password, if it cannot.
pub(super) fn weakness(password: &str) -> Option<&'static str> {
    let mut characters = password.chars();
    let first = characters.next();
    if password.chars().count() < LEAST {
        Some(SHORT)
    } else if characters.all(|character| Some(character) == first) {
        Some(REPEATED)
    } else if is_common(password) {
        Some(COMMON_ONE)
    } else {
        None
    }
}

/// Whether it is one of those that are tried first, with capitals, and with a few digits or signs behind.
fn is_common(password: &str) -> bool {
    let password = Zeroizing::new(password.to_lowercase());
    let word = password.trim_end_matches(|c: char| !c.is_alphabetic());
    let is_dressed = password.chars().count() - word.chars().count() <= MOST_BEHIND;
    COMMON.lines().any(|common| common == *password || (is_dressed && common == word))
}

const SHORT: &str = "a password has at least 8 characters; a few random words are good";
const REPEATED: &str =
    "a password of one character, repeated, is guessed at once; a few random words are good";
const COMMON_ONE: &str = "this is one of the passwords that are guessed first; a few random words are good";
const LEAST: usize = 8;
/// How many signs behind a word make it no better.
const MOST_BEHIND: usize = 4;
/// One a line, in small letters.
const COMMON: &str = include_str!("common_passwords.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_has_is_no_password() {
        for common in
            ["password", "12345678", "password1234", "Password1!", "QWERTYUIOP", "iloveyou", "letmein99"]
        {
            assert_eq!(weakness(common), Some(COMMON_ONE), "{common}");
        }
        for repeated in ["aaaaaaaa", "11111111", "éééééééé"] {
            assert_eq!(weakness(repeated), Some(REPEATED), "{repeated}");
        }
        for short in ["", "short", "1234567", "éééé"] {
            assert_eq!(weakness(short), Some(SHORT), "{short}");
        }
        for good in
            ["correct horse battery staple", "a password of some length", "dragon81726354", "aaaaaaab"]
        {
            assert_eq!(weakness(good), None, "{good}");
        }
    }

    #[test]
    fn the_list_is_in_the_form_that_is_looked_for() {
        for line in COMMON.lines() {
            assert!(!line.is_empty() && line == line.to_lowercase().trim(), "{line:?}");
        }
        assert!(COMMON.lines().count() >= 200);
    }
}
