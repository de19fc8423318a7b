// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lines in batches: those of a tenant in one round, as the text that is recorded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::TenantId;
use uuid::Uuid;

use super::Line;

/// The longest text of a batch, in bytes: sealed it is a record's details, of which clients take 64 KiB.
const LONGEST: usize = 60 * 1024;

/// A line with its hashes, as the spool has it.
#[derive(Serialize, Deserialize)]
pub(super) struct SaltedLine<'a> {
    tenant: Cow<'a, str>,
    at: i64,
    request: Cow<'a, str>,
    route: Cow<'a, str>,
    /// Who and through what; nobody who is known, if `None`.
    who: Option<(Cow<'a, str>, Cow<'a, str>)>,
    status: u16,
    took_us: u64,
    sent: u64,
    answered: Option<u64>,
    sent_hash: Option<Cow<'a, str>>,
    answered_hash: Option<Cow<'a, str>>,
}

/// The batches of one round.
pub(super) struct Batches {
    seed: Sha256,
    of: HashMap<TenantId, Vec<Batch>>,
    salts: HashMap<TenantId, [u8; 32]>,
    lines: usize,
}

impl Batches {
    /// `round` names the round: the salt of a batch is that of its round and tenant, so that lines that are read from a spool
    /// have the salt that they were written with.
    pub(super) fn new(seed: &[u8; 32], round: Uuid) -> Self {
        let mut prefix = Sha256::new();
        prefix.update(b"bailiwick/v1/requests/salt\0");
        prefix.update(seed);
        prefix.update(round.as_bytes());
        Batches { seed: prefix, of: HashMap::new(), salts: HashMap::new(), lines: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// How many lines hold room.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    pub(super) fn into_each(self) -> impl Iterator<Item = (TenantId, Vec<Batch>)> {
        self.of.into_iter()
    }

    /// The line with its hashes under the salt of its tenant.
    pub(super) fn salted<'a>(&mut self, line: &'a Line) -> SaltedLine<'a> {
        let tenant = line.passed.tenant();
        let salt = self.salt(tenant);
        let hash = |digest: &[u8; 32]| {
            Cow::Owned(
                BASE64URL_NOPAD.encode(&Sha256::new().chain_update(salt).chain_update(digest).finalize()),
            )
        };
        SaltedLine {
            tenant: Cow::Owned(tenant.to_string()),
            at: line.at,
            request: Cow::Borrowed(&line.request),
            route: Cow::Borrowed(&line.route),
            who: line.passed.who.as_ref().map(|who| (Cow::Borrowed(&*who.actor), Cow::Borrowed(&*who.via))),
            status: line.status,
            took_us: u64::try_from(line.took.as_micros()).unwrap_or(u64::MAX),
            sent: line.sent,
            answered: line.answered,
            sent_hash: line.sent_digest.as_ref().map(hash),
            answered_hash: line.answered_digest.as_ref().map(hash),
        }
    }

    /// Puts a line into its batch; says whether it takes room there. One that is only counted takes none.
    pub(super) fn add(&mut self, line: &SaltedLine<'_>) -> bool {
        let tenant = line.tenant.parse().unwrap_or(TenantId::PLATFORM);
        let salt = self.salt(tenant);
        let batches = self.of.entry(tenant).or_default();
        if batches.last().is_none_or(Batch::is_full) {
            batches.push(Batch::new(line.at, salt));
        }
        let Some(batch) = batches.last_mut() else { return false };
        let takes_room = batch.add(line);
        self.lines += usize::from(takes_room);
        takes_room
    }

    fn salt(&mut self, tenant: TenantId) -> [u8; 32] {
        let seed = &self.seed;
        *self
            .salts
            .entry(tenant)
            .or_insert_with(|| seed.clone().chain_update(tenant.as_bytes()).finalize().into())
    }
}

/// Lines of one tenant: at most as many as one record takes.
pub(super) struct Batch {
    since: i64,
    salt: [u8; 32],
    routes: Places,
    callers: Places,
    /// The lines as they stand in the text, each but the first after a comma.
    text: String,
    lines: usize,
    visitors: HashMap<(usize, u16), Counted>,
}

/// Requests alike.
struct Counted {
    times: u64,
    first: i64,
    last: i64,
}

impl Batch {
    fn new(since: i64, salt: [u8; 32]) -> Self {
        Batch {
            since,
            salt,
            routes: Places::default(),
            callers: Places::default(),
            text: String::new(),
            lines: 0,
            visitors: HashMap::new(),
        }
    }

    /// How many of its lines hold room.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    fn is_full(&self) -> bool {
        // A counted line is at most 80 bytes, and there are not more kinds than routes and statuses.
        self.text.len() + self.routes.bytes + self.callers.bytes + 80 * self.visitors.len() + LONGEST_LINE
            > LONGEST
    }

    fn add(&mut self, line: &SaltedLine<'_>) -> bool {
        let route = self.routes.of(&line.route);
        let at = line.at - self.since;
        let Some((actor, via)) = &line.who else {
            let counted = self.visitors.entry((route, line.status)).or_insert(Counted {
                times: 0,
                first: at,
                last: at,
            });
            counted.times += 1;
            counted.first = counted.first.min(at);
            counted.last = counted.last.max(at);
            return false;
        };
        let caller = self.callers.of(&format!("\"{actor}\",\"{via}\""));
        let comma = if self.text.is_empty() { "" } else { "," };
        // Nothing of these is anybody's own text: ids, numbers and base64.
        let _ = write!(
            self.text,
            "{comma}[{at},\"{}\",{route},{caller},{},{},{},{},{},{}]",
            line.request,
            line.status,
            line.took_us,
            line.sent,
            Or(line.answered),
            Quoted(line.sent_hash.as_deref()),
            Quoted(line.answered_hash.as_deref()),
        );
        self.lines += 1;
        true
    }

    /// The text, with the tenant's id when it is recorded elsewhere. See [`protocol::log::Requests`].
    pub(super) fn text(&self, of: Option<TenantId>) -> String {
        let mut text = String::with_capacity(self.text.len() + 4_096);
        text.push_str("{\"version\":1,");
        if let Some(of) = of {
            let _ = write!(text, "\"tenant\":\"{of}\",");
        }
        let _ = write!(text, "\"since\":{},\"salt\":\"{}\"", self.since, BASE64URL_NOPAD.encode(&self.salt));
        text.push_str(",\"routes\":[");
        // Routes are patterns of this program's own.
        list(&mut text, self.routes.in_order().map(|route| format!("\"{route}\"")));
        text.push_str("],\"callers\":[");
        list(&mut text, self.callers.in_order().map(|caller| format!("[{caller}]")));
        text.push_str("],\"requests\":[");
        text.push_str(&self.text);
        text.push_str("],\"visitors\":[");
        let mut visitors: Vec<_> = self.visitors.iter().collect();
        visitors.sort_by_key(|(of, _)| **of);
        let lines = visitors.into_iter().map(|((route, status), Counted { times, first, last })| {
            format!("[{route},{status},{times},{first},{last}]")
        });
        list(&mut text, lines);
        text.push_str("]}");
        text
    }
}

fn list(text: &mut String, entries: impl Iterator<Item = String>) {
    for (place, entry) in entries.enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&entry);
    }
}

/// Texts by the order in which they came.
#[derive(Default)]
struct Places {
    of: HashMap<String, usize>,
    bytes: usize,
}

impl Places {
    fn of(&mut self, text: &str) -> usize {
        if let Some(place) = self.of.get(text) {
            return *place;
        }
        let place = self.of.len();
        self.bytes += text.len() + 8;
        self.of.insert(text.to_owned(), place);
        place
    }

    fn in_order(&self) -> impl Iterator<Item = &str> {
        let mut texts: Vec<_> = self.of.iter().map(|(text, place)| (*place, text.as_str())).collect();
        texts.sort_unstable();
        texts.into_iter().map(|(_, text)| text)
    }
}

struct Or(Option<u64>);

impl std::fmt::Display for Or {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("null"),
        }
    }
}

struct Quoted<'a>(Option<&'a str>);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(text) => write!(f, "\"{text}\""),
            None => f.write_str("null"),
        }
    }
}

/// The longest line with the route and the caller that come with it.
const LONGEST_LINE: usize = 768;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use access::{Caller, Passage, PlatformRoles, SignedIn, Via};
    use protocol::log::Requests;

    use super::*;

    fn line(passage: &Passage, route: &str, status: u16, number: i64) -> Line {
        Line {
            at: 1_000 + number,
            request: format!("req_{number:032x}").into(),
            route: route.into(),
            passed: passage.seen(),
            changes: route.starts_with("POST"),
            status,
            took: Duration::from_micros(812),
            sent: 12,
            answered: None,
            sent_digest: Some(Sha256::digest(b"sent").into()),
            answered_digest: Some(Sha256::digest(b"answered").into()),
        }
    }

    fn somebody(home: TenantId) -> Arc<Passage> {
        let passage = Arc::<Passage>::default();
        let account = SignedIn {
            account: Uuid::new_v4(),
            home,
            via: Via::Session(Uuid::new_v4()),
            fresh_until: None,
            suspended: false,
            platform_roles: PlatformRoles::NONE,
        };
        drop(Caller::account(account, "req_1").following(&passage).came());
        passage
    }

    #[test]
    fn a_batch_says_what_was_asked_and_fits_a_record() {
        let home = TenantId::random();
        let passage = somebody(home);
        let mut batches = Batches::new(&[7; 32], Uuid::from_u128(1));
        for number in 0..2_000 {
            let line = line(&passage, "GET /api/v1/collections/{collection}/items/{item}", 200, number);
            let salted = batches.salted(&line);
            assert!(batches.add(&salted));
        }
        assert_eq!(batches.lines(), 2_000);
        let batches: Vec<_> = batches.into_each().flat_map(|(_, batches)| batches).collect();
        assert!(batches.len() > 1);
        let mut numbers = Vec::new();
        for batch in &batches {
            let text = batch.text(None);
            assert!(text.len() <= LONGEST, "{}", text.len());
            let requests: Requests = serde_json::from_str(&text).unwrap();
            let salt = requests.salt.as_slice();
            let hash =
                |body: &[u8]| Sha256::new().chain_update(salt).chain_update(Sha256::digest(body)).finalize();
            for line in requests.requests {
                assert_eq!(line.8.unwrap().as_slice(), hash(b"sent").as_slice());
                assert_eq!(line.9.unwrap().as_slice(), hash(b"answered").as_slice());
                numbers.push(line.1);
            }
        }
        assert_eq!(numbers.len(), 2_000);
    }

    #[test]
    fn strangers_are_counted_and_take_no_room() {
        let mut batches = Batches::new(&[7; 32], Uuid::from_u128(1));
        let nobody = Passage::default();
        for number in 0..10_000 {
            let refused = line(&nobody, "POST /api/v1/signin/password/finish", 401, number);
            let salted = batches.salted(&refused);
            assert!(!batches.add(&salted));
        }
        let (tenant, batches) = batches.into_each().next().unwrap();
        assert_eq!((tenant, batches.len()), (TenantId::PLATFORM, 1));
        let requests: Requests = serde_json::from_str(&batches[0].text(None)).unwrap();
        let counted = &requests.visitors[0];
        assert_eq!((counted.1, counted.2, counted.3, counted.4), (401, 10_000, 0, 9_999));
        assert!(requests.requests.is_empty());
    }

    #[test]
    fn what_is_read_from_a_spool_gives_the_same_text() {
        let home = TenantId::random();
        let passage = somebody(home);
        let (seed, round) = ([9; 32], Uuid::from_u128(2));
        let (mut written, mut read) = (Batches::new(&seed, round), Batches::new(&seed, round));
        for number in 0..10 {
            let line = line(&passage, "POST /api/v1/collections", 201, number);
            let salted = written.salted(&line);
            written.add(&salted);
            let spooled = serde_json::to_vec(&salted).unwrap();
            read.add(&serde_json::from_slice(&spooled).unwrap());
        }
        let text = |batches: Batches| batches.into_each().next().unwrap().1[0].text(None);
        assert_eq!(text(written), text(read));
    }
}
