// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How letters leave.

use identity::{Letter, Mail as _, MailError, Outbox, Smtp};

use crate::world::{Person, worlds};

async fn letter() -> (Person, Letter) {
    let world = worlds().await.remove(0);
    let (person, _) = world.sign_up("ada").await;
    let letter = world.sign_in(&person).await.letter.unwrap();
    (person, letter)
}

#[tokio::test]
async fn the_outbox_holds_whole_messages_that_only_the_server_reads() {
    let (person, letter) = letter().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox");
    let outbox = Outbox::new(&path, "Bailiwick <mail@bailiwick.example>").unwrap();
    outbox.send(&letter).await.unwrap();
    outbox.send(&letter).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert!(file.file_name().unwrap().to_str().unwrap().ends_with(".eml"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        for header in [
            "From: Bailiwick <mail@bailiwick.example>",
            &format!("To: {}", person.email.as_str()),
            "Subject: New device signed in to Bailiwick",
            "Date: Thu, 01 Jan 2026 00:00:30 +0000",
            "Message-ID: <",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(headers.lines().any(|line| line.starts_with(header)), "{header} in {headers}");
        }
        assert!(body.contains("Device:   laptop (Linux)"));
    }
}

#[test]
fn mail_to_another_machine_travels_encrypted() {
    let sender = "Bailiwick <mail@bailiwick.example>";
    for url in [
        "smtps://user:pass@mail.example.org",
        "smtp://mail.example.org:587?tls=required",
        "smtp://localhost:25",
    ] {
        assert!(Smtp::new(url, sender).is_ok(), "{url}");
    }
    for url in [
        "smtp://mail.example.org",
        "smtp://user:pass@mail.example.org?tls=opportunistic",
        "smtp://localhost@evil.example",
    ] {
        assert!(matches!(Smtp::new(url, sender), Err(MailError::Unencrypted)), "{url}");
    }
    assert!(matches!(Smtp::new("mail.example.org", sender), Err(MailError::Url)));
    assert!(matches!(Smtp::new("smtp://localhost", "a@b\r\nBcc: x@y"), Err(MailError::Sender)));
}

#[test]
fn a_mail_servers_password_is_not_described() {
    let smtp = Smtp::new("smtps://user:secretpass@mail.example.org", "mail@bailiwick.example");
    assert_eq!(smtp.unwrap().describe(), "SMTP server mail.example.org");
}
