// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is written to people: short, plain, and without a link to press, but for an invitation, which is one.

use std::fmt;

use keyring::MethodKind;
use keyring::email::Email;
use zeroize::Zeroizing;

use crate::network::Network;
use crate::{Identity, MethodId};

/// A mail to one person. It holds the address, so it does not print; send it and drop it.
pub struct Letter {
    pub(crate) to: Email,
    pub(crate) service: String,
    pub(crate) at_ms: i64,
    pub(crate) message: Message,
}

impl Letter {
    pub(crate) fn new(to: Email, service: &str, at_ms: i64, message: Message) -> Self {
        Self { to, service: service.to_owned(), at_ms, message }
    }

    /// What the letter is about; safe to log and to count.
    pub fn kind(&self) -> &'static str {
        match self.message {
            Message::Code(_) => "code",
            Message::AlreadyRegistered => "already_registered",
            Message::NewDevice { .. } => "new_device",
            Message::PasswordChanged => "password_changed",
            Message::BackupCodesReplaced => "backup_codes_replaced",
            Message::SecondFactorSet { is_first: false } => "second_factor_replaced",
            Message::SecondFactorSet { is_first: true } => "second_factor_added",
            Message::DevicePaired { .. } => "device_paired",
            Message::MasterKeyRotated => "master_key_rotated",
            Message::AccountDeleted => "account_deleted",
            Message::RecoveryKeyUsed { .. } => "recovery_key_used",
            Message::RecoveryKeyReplaced => "recovery_key_replaced",
            Message::ApiKeyAddress { .. } => "api_key_address",
            Message::ApiKeyApproved { .. } => "api_key_approved",
            Message::ApiKeyReported { .. } => "api_key_reported",
            Message::PasskeyCopied { .. } => "passkey_copied",
            Message::MethodAdded { .. } => "method_added",
            Message::MethodRenamed { .. } => "method_renamed",
            Message::MethodRevoked { .. } => "method_revoked",
            Message::ImportedSignedIn { .. } => "imported_signed_in",
            Message::Invited { .. } => "invited",
        }
    }

    /// The address.
    pub fn to(&self) -> &Email {
        &self.to
    }

    /// When it was written, in milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// The subject. A code stands in the text only, so that locked screens do not show it.
    pub fn subject(&self) -> String {
        let service = &self.service;
        match &self.message {
            Message::Code(_) => format!("Your {service} code"),
            Message::AlreadyRegistered => format!("You already have a {service} account"),
            Message::NewDevice { .. } => format!("New device signed in to {service}"),
            Message::DevicePaired { is_public: false, .. } => format!("A device was let in to {service}"),
            Message::DevicePaired { is_public: true, .. } => {
                format!("A public computer was let in to {service}")
            }
            Message::PasswordChanged => format!("Your {service} password was changed"),
            Message::BackupCodesReplaced => format!("Your {service} backup codes were replaced"),
            Message::SecondFactorSet { is_first: false } => {
                format!("Your {service} authenticator was replaced")
            }
            Message::SecondFactorSet { is_first: true } => {
                format!("An authenticator was added to your {service} account")
            }
            Message::MasterKeyRotated => format!("Your {service} keys were renewed"),
            Message::AccountDeleted => format!("Your {service} account was deleted"),
            Message::RecoveryKeyUsed { .. } => format!("Your {service} recovery key was used"),
            Message::RecoveryKeyReplaced => format!("Your {service} recovery key was replaced"),
            Message::ApiKeyAddress { .. } => format!("An API key of your {service} account was refused"),
            Message::ApiKeyApproved { .. } => {
                format!("An API key of your {service} account may be used from elsewhere")
            }
            Message::ApiKeyReported { .. } => format!("An API key of your {service} account was found"),
            Message::PasskeyCopied { .. } => {
                format!("A passkey of your {service} account may have been copied")
            }
            Message::MethodAdded { kind, .. } => {
                format!("{} was added to your {service} account", capital(a(*kind)))
            }
            Message::MethodRenamed { kind, .. } => {
                format!("{} of your {service} account was renamed", capital(a(*kind)))
            }
            Message::MethodRevoked { kind, .. } => {
                format!("{} of your {service} account was revoked", capital(a(*kind)))
            }
            Message::ImportedSignedIn { .. } => format!("Your {service} account is ready"),
            // The tenant's name is whatever its people call it: it stands in the text alone.
            Message::Invited { .. } => format!("An invitation to {service}"),
        }
    }

    /// The text.
    pub fn text(&self) -> Zeroizing<String> {
        let (service, when) = (&self.service, utc(self.at_ms));
        let not_you = "If this was not you, sign in from a device you trust, end all other sessions\nand change your password.";
        Zeroizing::new(match &self.message {
            Message::Code(code) => format!(
                "Your code is {}\n\nEnter it where you are signing up for {service}. Nobody from {service} will ever\nask you for it. If you are not signing up, ignore this letter.\n",
                code.as_str()
            ),
            Message::AlreadyRegistered => format!(
                "Somebody, probably you, tried to sign up for {service} with this address.\nThere already is an account for it, so nothing has changed. Sign in instead.\n\nIf it was not you, you need not do anything.\n"
            ),
            Message::NewDevice { device, place, session } => format!(
                "A new device signed in to your {service} account.\n\n  Device:   {device}\n  Network:  {place}\n  Time:     {when}\n  Session:  {session}\n\nIf it was you, you need not do anything.\nIf not: sign in from a device you trust, open the list of your sessions, end this\nsession, and change your password.\n"
            ),
            Message::RecoveryKeyUsed { device, place, session } => format!(
                "Somebody signed in to your {service} account with a recovery key.\n\n  Device:   {device}\n  Network:  {place}\n  Time:     {when}\n  Session:  {session}\n\nIf it was you, set a new password now, and make another recovery key if others\nmay have seen this one.\nIf not: sign in from a device you trust, end this session, and revoke the\nrecovery key.\n"
            ),
            Message::RecoveryKeyReplaced => format!(
                "A recovery key of your {service} account was replaced by a new one. The old one no\nlonger works.\n\n  Time:  {when}\n\n{not_you}\n"
            ),
            Message::ApiKeyAddress { label, key, network } => format!(
                "An API key of your {service} account was shown from an address that\nyou have not approved. It was refused.\n\n{}  Key:      {key}\n  Network:  {network}\n  Time:     {when}\n\nIf this was a program of yours, approve the address:\n\n  bailiwick api-keys approve {key} {network}\n\nIf not, somebody else has the key: revoke it.\n",
                named(label)
            ),
            Message::ApiKeyApproved { label, key, network } => format!(
                "An API key of your {service} account may now be used from another network.\n\n{}  Key:      {key}\n  Network:  {network}\n  Time:     {when}\n\n{not_you}\n",
                named(label)
            ),
            Message::ApiKeyReported { label, key, revoked } => format!(
                "Somebody reported to have found an API key of your {service} account.\n\n{}  Key:   {key}\n  Time:  {when}\n\n{}\n",
                named(label),
                if *revoked {
                    "They showed the key itself, so it was revoked: it lets nobody in any more.\nLook in your history for what was done with it, and make another key where you\nneed one."
                } else {
                    "They knew its public name only, and the key still works. If you do not know how\nothers came by it, revoke the key and make another one."
                }
            ),
            Message::PasskeyCopied { label, place } => format!(
                "A passkey of your {service} account was refused: it counts how often it is used,\nand the count went back. Either what holds it was put back to an earlier state, or\nthere is a copy of it that you did not make.\n\n{}  Network:  {place}\n  Time:     {when}\n\nIf you know of neither, sign in by another way, revoke this passkey, end all other\nsessions and add a new one.\n",
                named(label)
            ),
            Message::MethodAdded { kind, label } => format!(
                "{} was added to your {service} account. It lets whoever holds it sign in.\n\n{}  Time:  {when}\n\nIf this was not you, sign in from a device you trust, revoke it, end all other\nsessions and change your password.\n",
                capital(a(*kind)),
                named(label)
            ),
            Message::MethodRenamed { kind, from, to } => format!(
                "{} of your {service} account has another name now.\n\n  Was:   {from}\n  Is:    {to}\n  Time:  {when}\n\n{not_you}\n",
                capital(a(*kind))
            ),
            Message::MethodRevoked { kind, label } => format!(
                "{} of your {service} account was revoked. It lets nobody in any more, and\nthe sessions that it opened have ended.\n\n{}  Time:  {when}\n\n{not_you}\n",
                capital(a(*kind)),
                named(label)
            ),
            Message::DevicePaired { device, place, session, is_public } => format!(
                "{} to your {service} account, approved on a device that was\nsigned in.\n\n  Device:   {device}\n  Network:  {place}\n  Time:     {when}\n  Session:  {session}\n\nIf it was you, you need not do anything.\nIf not: sign in from a device you trust, open the list of your sessions, end this\nsession and the one that approved it, and change your password.\n",
                if *is_public {
                    "A public computer was let in for a short while"
                } else {
                    "A device was let in"
                }
            ),
            Message::PasswordChanged => format!(
                "The password of your {service} account was changed.\nAll other sessions were ended.\n\n  Time:  {when}\n\n{not_you}\n"
            ),
            Message::BackupCodesReplaced => format!(
                "The backup codes of your {service} account were replaced. The old ones no longer\nwork.\n\n  Time:  {when}\n\n{not_you}\n"
            ),
            Message::SecondFactorSet { is_first: true } => format!(
                "An authenticator app now makes codes for your {service} account: with a password, once\nyou have set one, they let you in.\n\n  Time:  {when}\n\n{not_you}\n"
            ),
            Message::SecondFactorSet { is_first: false } => format!(
                "Another authenticator app now makes the codes for your {service} account.\nThe old one no longer works.\n\n  Time:  {when}\n\n{not_you}\n"
            ),
            Message::MasterKeyRotated => format!(
                "The keys of your {service} account were renewed. All other sessions were ended.\n\n  Time:  {when}\n\n{not_you}\n"
            ),
            Message::AccountDeleted => format!(
                "Your {service} account was deleted, with everything in it. It cannot be brought\nback.\n\n  Time:  {when}\n"
            ),
            Message::Invited { tenant, link, expires_at } => format!(
                "Somebody invites you to join them on {service}. They call themselves:\n\n  {tenant}\n\nIf you know them, sign in with the account of this address, or sign up with it, and\nopen this link:\n\n  {}\n\nOr, on the command line:  bailiwick tenant join LINK\n\nIt is good for this address alone, once, until {}.\nIf you do not know them, ignore this letter.\n",
                link.as_str(),
                utc(*expires_at)
            ),
            Message::ImportedSignedIn { device, place, session } => format!(
                "Somebody, probably you, signed in to {service} for the first time, with the password\nof the account that was carried over for this address.\n\n  Device:   {device}\n  Network:  {place}\n  Time:     {when}\n  Session:  {session}\n\nIf it was you, you need not do anything.\nIf not, somebody knows that password: write to whoever runs {service}, and change it\nwherever else you use it.\n"
            ),
        })
    }
}

impl Identity {
    /// The letter that invites an address to a tenant. The link is for its owner alone.
    pub fn invitation(&self, to: Email, tenant: &str, link: &str, expires_at: i64, now_ms: i64) -> Letter {
        let link = Zeroizing::new(link.to_owned());
        let message = Message::Invited { tenant: unlinked(tenant), link, expires_at };
        Letter::new(to, &self.settings.service_name, now_ms, message)
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.kind())
    }
}

pub(crate) enum Message {
    Code(Zeroizing<String>),
    AlreadyRegistered,
    NewDevice { device: String, place: String, session: crate::SessionId },
    DevicePaired { device: String, place: String, session: crate::SessionId, is_public: bool },
    PasswordChanged,
    BackupCodesReplaced,
    SecondFactorSet { is_first: bool },
    MasterKeyRotated,
    AccountDeleted,
    RecoveryKeyUsed { device: String, place: String, session: crate::SessionId },
    RecoveryKeyReplaced,
    ApiKeyAddress { label: String, key: MethodId, network: Network },
    ApiKeyApproved { label: String, key: MethodId, network: Network },
    ApiKeyReported { label: String, key: MethodId, revoked: bool },
    PasskeyCopied { label: String, place: String },
    MethodAdded { kind: MethodKind, label: String },
    MethodRenamed { kind: MethodKind, from: String, to: String },
    MethodRevoked { kind: MethodKind, label: String },
    ImportedSignedIn { device: String, place: String, session: crate::SessionId },
    Invited { tenant: String, link: Zeroizing<String>, expires_at: i64 },
}

/// What strangers chose, in a letter of ours: without what mail programs make links of, and no longer than a line.
fn unlinked(name: &str) -> String {
    let makes_links =
        |letter: char| matches!(letter, '.' | ':' | '/' | '\\' | '@' | '<' | '>' | '\u{3002}' | '\u{ff0e}');
    let spaced: String = name.chars().map(|letter| if makes_links(letter) { ' ' } else { letter }).collect();
    let mut line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_NAME) {
        line.truncate(end);
        line.push('…');
    }
    line
}

const LONGEST_NAME: usize = 80;

/// A method of this kind, as people call it.
fn a(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Password => "the password",
        MethodKind::Passkey => "a passkey",
        MethodKind::RecoveryKey => "a recovery key",
        MethodKind::ApiKey => "an API key",
        MethodKind::Provider => "sign-in through another provider",
        _ => "a login method",
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn named(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!("  Name:  {label}\n") }
}

/// `2026-11-22 18:05 UTC`: letters go to every time zone (days from the epoch by Howard Hinnant's `civil_from_days`).
fn utc(at_ms: i64) -> String {
    let minutes = at_ms.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(1_440), minutes.rem_euclid(1_440));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_everyone() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(1_709_208_000_000), "2024-02-29 12:00 UTC");
        assert_eq!(utc(1_795_370_759_999), "2026-11-22 18:05 UTC");
        assert_eq!(utc(-60_000), "1969-12-31 23:59 UTC");
    }

    #[test]
    fn a_letter_shows_neither_address_nor_code_to_logs() {
        let code = Zeroizing::new("123456".to_owned());
        let letter =
            Letter::new(Email::parse("ada@example.org").unwrap(), "Bailiwick", 0, Message::Code(code));
        let shown = format!("{letter:?}");
        assert!(!shown.contains("ada") && !shown.contains("123456"));
        assert!(!letter.subject().contains("123456"));
        assert!(letter.text().contains("123456"));
    }

    #[test]
    fn an_invitation_carries_no_link_but_its_own() {
        assert_eq!(unlinked("Müller & Söhne"), "Müller & Söhne");
        assert_eq!(unlinked("Win at https://evil.example/x now"), "Win at https evil example x now");
        assert_eq!(unlinked("mail eve@evil.example"), "mail eve evil example");
        assert_eq!(unlinked(&"a".repeat(200)).chars().count(), LONGEST_NAME + 1);
    }
}
