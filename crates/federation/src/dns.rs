// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TXT records of a name (RFC 1035), asked of one name server over TCP (RFC 7766): an answer that somebody who does not see the
//! question makes up does not arrive.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{FederationError, random};

/// The texts of a name, each put together from its pieces. A name that is not there has none.
///
/// # Errors
/// [`FederationError::Unreachable`], [`FederationError::Malformed`].
pub(crate) async fn texts(server: SocketAddr, name: &str) -> Result<Vec<String>, FederationError> {
    let id = random::bytes::<2>()?;
    let question = question(id, name).ok_or(FederationError::Unreadable("a domain"))?;
    let asked = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let silent = || FederationError::Unreachable("the name server does not answer".to_owned());
    let answer = timeout(WITHIN, asked).await.map_err(|_| silent())?.map_err(|_| silent())?;
    match read(&answer, &question) {
        Some(Answer::Texts(texts)) => Ok(texts),
        Some(Answer::Failed) => Err(silent()),
        None => Err(FederationError::Malformed("the name server's answer cannot be read".to_owned())),
    }
}

enum Answer {
    Texts(Vec<String>),
    /// The server could not find out.
    Failed,
}

/// A question for TXT records, with recursion (RFC 1035, section 4).
fn question(id: [u8; 2], name: &str) -> Option<Vec<u8>> {
    let mut message = vec![id[0], id[1], 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, TXT, 0, IN]);
    Some(message)
}

/// Reads the answer to this question; `None` for what is none.
fn read(answer: &[u8], question: &[u8]) -> Option<Answer> {
    let mut rest = answer;
    let (id, flags) = (take::<2>(&mut rest)?, take::<2>(&mut rest)?);
    let counts = [take::<2>(&mut rest)?, take::<2>(&mut rest)?, take::<2>(&mut rest)?, take::<2>(&mut rest)?];
    let [questions, answers, ..] = counts.map(u16::from_be_bytes);
    let (is_answer, is_cut, code) = (flags[0] & 0x80 != 0, flags[0] & 0x02 != 0, flags[1] & 0x0f);
    if question.get(..2)? != id || !is_answer || is_cut || questions != 1 {
        return None;
    }
    // The question stands in the answer as it was asked, but for upper and lower case.
    let (echoed, mut rest) = rest.split_at_checked(question.len().checked_sub(12)?)?;
    if !echoed.eq_ignore_ascii_case(question.get(12..)?) {
        return None;
    }
    match code {
        0 => {}
        NO_SUCH_NAME => return Some(Answer::Texts(Vec::new())),
        _ => return Some(Answer::Failed),
    }
    let mut texts = Vec::new();
    for _ in 0..answers {
        skip_name(&mut rest)?;
        let (kind, class) = (take::<2>(&mut rest)?, take::<2>(&mut rest)?);
        take::<4>(&mut rest)?;
        let length = u16::from_be_bytes(take::<2>(&mut rest)?);
        let (data, after) = rest.split_at_checked(length.into())?;
        rest = after;
        if kind == [0, TXT] && class == [0, IN] {
            texts.push(String::from_utf8_lossy(&pieces(data)?).into_owned());
        }
    }
    Some(Answer::Texts(texts))
}

/// A TXT record's strings, one after the other (section 3.3.14).
fn pieces(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(data.len());
    while let Some((length, rest)) = data.split_first() {
        let (piece, rest) = rest.split_at_checked((*length).into())?;
        whole.extend_from_slice(piece);
        data = rest;
    }
    Some(whole)
}

/// Goes past a name, which may end by pointing to another (section 4.1.4). Where it points is not followed.
fn skip_name(rest: &mut &[u8]) -> Option<()> {
    loop {
        let [length] = take::<1>(rest)?;
        match length {
            0 => return Some(()),
            1..=63 => *rest = rest.get(usize::from(length)..)?,
            0xc0.. => return take::<1>(rest).map(drop),
            _ => return None,
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

const TXT: u8 = 16;
const IN: u8 = 1;
const NO_SUCH_NAME: u8 = 3;
const WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(question: &[u8], code: u8, records: &[(u8, &[u8])]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2] = 0x81;
        message[3] = 0x80 | code;
        message[7] = u8::try_from(records.len()).unwrap();
        for (kind, data) in records {
            message.extend_from_slice(&[0xc0, 12, 0, *kind, 0, 1, 0, 0, 0, 60]);
            message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }

    fn texts_of(answer: &[u8], question: &[u8]) -> Option<Vec<String>> {
        match read(answer, question)? {
            Answer::Texts(texts) => Some(texts),
            Answer::Failed => None,
        }
    }

    #[test]
    fn the_texts_of_a_name_are_read_and_nothing_else() {
        let asked = question([7, 9], "_bailiwick.example.org").unwrap();
        let good = answer(&asked, 0, &[(5, b"\x00"), (TXT, b"\x03abc"), (TXT, b"\x02de\x01f"), (TXT, b"")]);
        assert_eq!(texts_of(&good, &asked).unwrap(), ["abc", "def", ""]);
        assert_eq!(texts_of(&answer(&asked, NO_SUCH_NAME, &[]), &asked).unwrap(), [""; 0]);
        assert!(matches!(read(&answer(&asked, 2, &[]), &asked), Some(Answer::Failed)));
        // Of another question, not an answer, cut short, broken.
        assert!(read(&good, &question([7, 8], "_bailiwick.example.org").unwrap()).is_none());
        assert!(read(&good, &question([7, 9], "_bailiwick.example.com").unwrap()).is_none());
        assert!(read(&asked, &asked).is_none());
        for end in 0..good.len() {
            assert!(read(&good[..end], &asked).is_none(), "{end}");
        }
        assert!(read(&answer(&asked, 0, &[(TXT, b"\x09abc")]), &asked).is_none());
    }

    #[test]
    fn a_name_is_written_as_labels() {
        assert_eq!(&question([0, 1], "a.bc").unwrap()[12..], b"\x01a\x02bc\x00\x00\x10\x00\x01");
        assert!(question([0, 1], "a..b").is_none() && question([0, 1], &"a".repeat(64)).is_none());
    }

    proptest! {
        #[test]
        fn no_answer_stops_the_reader(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let asked = question([0, 0], "a.example").unwrap();
            let _ = read(&answer, &asked);
            let _ = read(&[asked.as_slice(), &answer].concat(), &asked);
        }
    }
}
