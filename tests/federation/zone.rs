// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A name server for the zones of these tests: TXT records over TCP (RFC 1035, RFC 7766).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone)]
pub(super) struct Zone {
    address: String,
    records: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Zone {
    pub(super) fn served() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let zone = Zone {
            address: listener.local_addr().expect("its address").to_string(),
            records: Arc::default(),
        };
        let records = Arc::clone(&zone.records);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                if stream.read_exact(&mut question).is_ok() {
                    let answer = answer(&question, &records.lock().expect("no panic"));
                    let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &answer].concat());
                }
            }
        });
        zone
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn write(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.records.lock().expect("no panic").insert(name.to_owned(), texts);
    }
}

fn answer(question: &[u8], records: &BTreeMap<String, Vec<String>>) -> Vec<u8> {
    let (mut name, mut at) = (Vec::new(), 12);
    while question[at] != 0 {
        let length = usize::from(question[at]);
        name.push(String::from_utf8_lossy(&question[at + 1..at + 1 + length]).into_owned());
        at += length + 1;
    }
    let texts = records.get(&name.join("."));
    let mut message = question.to_vec();
    message[2] = 0x81;
    message[3] = if texts.is_some() { 0x80 } else { 0x83 };
    let texts = texts.map_or(&[][..], Vec::as_slice);
    message[7] = u8::try_from(texts.len()).expect("few");
    for text in texts {
        message.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        let length = u8::try_from(text.len()).expect("short");
        message.extend_from_slice(&[0, length + 1, length]);
        message.extend_from_slice(text.as_bytes());
    }
    message
}
