// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ways for a letter to leave: a mail server, or a folder.
//!
//! Sending may take long and may fail; whoever owns the queue decides how often to try again. Messages are built by
//! `lettre` from typed parts, so that nothing in an address, a device's name or a setting becomes a header of its own.

use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::letter::Letter;

/// A way for letters to leave.
pub trait Mail: Send + Sync {
    /// Hands the letter over, durably: when it returns, somebody else is responsible for it.
    fn send<'a>(&'a self, letter: &'a Letter) -> Sending<'a>;

    /// Where letters go, for the log at the start.
    fn describe(&self) -> String;
}

/// A letter on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), MailError>> + Send + 'a>>;

/// Sends by SMTP, over TLS (rustls with ring) unless the address says otherwise.
pub struct Smtp {
    builder: AsyncSmtpTransportBuilder,
    /// Made at the first letter: its pool can only be made inside a Tokio runtime, and settings are checked outside one.
    transport: OnceLock<AsyncSmtpTransport<Tokio1Executor>>,
    sender: Sender,
    host: String,
}

impl Smtp {
    /// `url` is `smtps://user:password@host` (TLS from the first byte) or `smtp://user:password@host?tls=required`
    /// (STARTTLS). Unencrypted `smtp://` is taken for this machine only.
    ///
    /// # Errors
    /// [`MailError::Url`], [`MailError::Unencrypted`] or [`MailError::Sender`].
    pub fn new(url: &str, from: &str) -> Result<Self, MailError> {
        let (scheme, rest) = url.split_once("://").ok_or(MailError::Url)?;
        let (authority, query) = rest.split_once(['?', '/']).unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let local = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        let encrypted = scheme == "smtps" || query.split(['?', '&']).any(|pair| pair == "tls=required");
        if !encrypted && !local {
            return Err(MailError::Unencrypted);
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| MailError::Url)?
            .timeout(Some(TIMEOUT));
        Ok(Self { builder, transport: OnceLock::new(), sender: Sender::new(from)?, host: host.to_owned() })
    }
}

impl Mail for Smtp {
    fn send<'a>(&'a self, letter: &'a Letter) -> Sending<'a> {
        Box::pin(async move {
            let message = self.sender.message(letter)?;
            let transport = self.transport.get_or_init(|| self.builder.clone().build());
            match transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(MailError::Refused),
                Err(_) => Err(MailError::Away),
            }
        })
    }

    fn describe(&self) -> String {
        format!("SMTP server {}", self.host)
    }
}

/// Lays letters into a folder as `.eml` files (RFC 5322) that only the server's user can read. For a machine
/// without a mail server, and for tests.
pub struct Outbox {
    folder: PathBuf,
    sender: Sender,
}

impl Outbox {
    /// Uses the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// [`MailError::Outbox`] when it cannot be made, [`MailError::Sender`].
    pub fn new(folder: &Path, from: &str) -> Result<Self, MailError> {
        fs::create_dir_all(folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder: folder.to_owned(), sender: Sender::new(from)? })
    }

    /// A reader of the folder sees whole letters only: they get their name when they are complete.
    fn lay(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.sender.message(letter)?;
        let name = format!("{:013}-{}-{}", letter.at_ms, letter.kind(), uuid::Uuid::new_v4().simple());
        let (unfinished, finished) =
            (self.folder.join(format!(".{name}.tmp")), self.folder.join(format!("{name}.eml")));
        let written = private_file(&unfinished).and_then(|mut file| {
            file.write_all(&message.formatted())?;
            file.sync_all()?;
            fs::rename(&unfinished, &finished)
        });
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error.into());
        }
        Ok(())
    }
}

impl Mail for Outbox {
    fn send<'a>(&'a self, letter: &'a Letter) -> Sending<'a> {
        Box::pin(async move { self.lay(letter) })
    }

    fn describe(&self) -> String {
        format!("outbox folder {}", self.folder.display())
    }
}

/// Why a letter did not leave. Says nothing about whom it was for.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The address of the mail server cannot be understood.
    #[error(
        "the mail server's address must look like smtps://user:password@host or smtp://user:password@host?tls=required"
    )]
    Url,
    /// Mail to another machine would travel in clear.
    #[error("mail must travel encrypted: use smtps:// or add ?tls=required to the mail server's address")]
    Unencrypted,
    /// The sender's address cannot be understood.
    #[error("the sender of mail must look like Name <mail@example.org>")]
    Sender,
    /// The recipient's address is one that no mail can be addressed to.
    #[error("a letter cannot be addressed")]
    Recipient,
    /// The mail server refused the letter for good.
    #[error("the mail server refused the letter")]
    Refused,
    /// The mail server cannot be reached or is busy; try again later.
    #[error("the mail server cannot be reached, or is busy")]
    Away,
    /// The outbox folder cannot be written.
    #[error("the outbox folder cannot be written: {0}")]
    Outbox(#[from] io::Error),
}

impl MailError {
    /// Whether it is worth trying again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away | Self::Outbox(_))
    }
}

struct Sender(Mailbox);

impl Sender {
    fn new(from: &str) -> Result<Self, MailError> {
        from.parse().map(Self).map_err(|_| MailError::Sender)
    }

    fn message(&self, letter: &Letter) -> Result<Message, MailError> {
        let to: Address = letter.to().as_str().parse().map_err(|_| MailError::Recipient)?;
        let id = format!("<{}@{}>", uuid::Uuid::new_v4().simple(), self.0.email.domain());
        Message::builder()
            .from(self.0.clone())
            .to(Mailbox::new(None, to))
            .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(letter.at_ms).unwrap_or(0)))
            .message_id(Some(id))
            .subject(letter.subject())
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text().to_string())
            .map_err(|_| MailError::Recipient)
    }
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

const TIMEOUT: Duration = Duration::from_secs(30);
