// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server that answers as it was told to, one connection after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

pub(crate) struct Scripted {
    pub(crate) url: String,
    thread: JoinHandle<Vec<String>>,
}

/// A status, headers and a body.
pub(crate) type Answer = (u16, &'static str, String);

impl Scripted {
    /// Gives these answers in order, then is gone.
    pub(crate) fn answering(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for (status, headers, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push_str(&line);
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                requests.push(head);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
            requests
        });
        Scripted { url, thread }
    }

    /// What was asked.
    pub(crate) fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}
