// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asking people, and reading secrets from standard input for programs.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use protocol::Secret;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::passwords::weakness;
use crate::client::account::Proof;
use crate::files::disk;
use crate::output::Output;

/// A second factor, given beforehand.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ProofArgs {
    /// Read the password from standard input: one line
    #[arg(long, global = true)]
    pub(crate) password_stdin: bool,

    /// Prove with a recovery key instead: read it from standard input, one line
    #[arg(long, global = true, conflicts_with_all = ["otp", "backup_code"])]
    pub(crate) recovery_key_stdin: bool,

    /// The six digits that the authenticator app shows
    #[arg(long, global = true, value_name = "DIGITS", conflicts_with = "backup_code")]
    pub(crate) otp: Option<String>,

    /// A backup code in place of the authenticator app
    #[arg(long, global = true, value_name = "CODE")]
    pub(crate) backup_code: Option<String>,
}

impl ProofArgs {
    /// What was given, if anything was.
    pub(crate) fn proof(&self) -> Option<Proof> {
        let otp = self.otp.clone().map(|code| Proof::Totp(digits(&code)));
        otp.or_else(|| self.backup_code.clone().map(|code| Proof::BackupCode(code.into())))
    }

    /// What was given, or what is asked for now.
    pub(crate) fn proof_or_ask(&self, output: Output) -> Result<Proof, Failure> {
        if let Some(proof) = self.proof() {
            return Ok(proof);
        }
        must_ask(output, "--otp or --backup-code")?;
        ask_proof()
    }
}

/// A second factor, asked for: six digits are the app's, anything else is a backup code.
pub(crate) fn ask_proof() -> Result<Proof, Failure> {
    let typed = ask("Code of the authenticator app, or a backup code: ")?;
    let is_totp = typed.chars().filter(|c| !c.is_whitespace()).all(|c| c.is_ascii_digit());
    let significant = typed.chars().filter(char::is_ascii_alphanumeric).count();
    Ok(if is_totp && significant == 6 {
        Proof::Totp(digits(&typed))
    } else {
        Proof::BackupCode(Secret::from((*typed).clone()))
    })
}

/// Six digits as typed, without the space that some put in the middle.
pub(crate) fn digits(typed: &str) -> Secret {
    Secret::from(typed.chars().filter(|c| !c.is_whitespace()).collect::<String>())
}

/// A password: a line of standard input, or asked for.
pub(crate) fn password(stdin: bool, prompt: &str, output: Output) -> Result<Zeroizing<String>, Failure> {
    if stdin {
        return line_of_stdin();
    }
    must_ask(output, "--password-stdin")?;
    hidden(prompt).map_err(|error| terminal(&error))
}

#[cfg(unix)]
use super::hidden::ask as hidden;

#[cfg(not(unix))]
fn hidden(question: &str) -> std::io::Result<Zeroizing<String>> {
    rpassword::prompt_password(question).map(Zeroizing::new)
}

/// A new password: a line of standard input, or asked for twice. Those that are guessed at once are refused.
pub(crate) fn new_password(stdin: bool, prompt: &str, output: Output) -> Result<Zeroizing<String>, Failure> {
    loop {
        let typed = password(stdin, prompt, output)?;
        if let Some(why) = weakness(&typed) {
            if stdin {
                return Err(Failure::failed("weak_password", why));
            }
            output.note(why);
            continue;
        }
        if stdin || *password(false, "The same once more: ", output)? == *typed {
            return Ok(typed);
        }
        output.note("The two are not the same.");
    }
}

/// A line that is asked for, in the open.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    show(prompt);
    line_of_stdin()
}

/// Shows what is asked for.
pub(crate) fn show(prompt: &str) {
    use std::io::Write;
    let mut stderr = io::stderr();
    let _ = stderr.write_all(prompt.as_bytes()).and_then(|()| stderr.flush());
}

/// Whether a person says yes. `instead` is what a program has to give.
pub(crate) fn confirm(output: Output, question: &str, instead: &str) -> Result<bool, Failure> {
    must_ask(output, instead)?;
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Refuses to ask a program.
pub(crate) fn must_ask(output: Output, instead: &str) -> Result<(), Failure> {
    if output.is_json() || !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("nobody can be asked here: give {instead}")));
    }
    Ok(())
}

/// A line of standard input, without its end.
pub(crate) fn line_of_stdin() -> Result<Zeroizing<String>, Failure> {
    line_or_end()?.ok_or_else(|| Failure::usage("standard input ended before what was expected"))
}

/// A line of standard input, without its end; nothing when there is no more.
pub(crate) fn line_or_end() -> Result<Option<Zeroizing<String>>, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_LINE));
    // Locked and buffered by the standard library: a second line read later is still there.
    let read = io::stdin().lock().read_line(&mut line).map_err(|error| terminal(&error))?;
    if read == 0 {
        return Ok(None);
    }
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    Ok(Some(line))
}

fn terminal(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::Interrupted {
        return Failure::interrupted();
    }
    Failure::failed("terminal", format!("the terminal cannot be read: {}", disk::said(error)))
}

const MAX_LINE: usize = 2048;
