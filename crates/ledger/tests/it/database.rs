// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A log as it lies in a database, and the ways in which its owner may write to it.

use ledger::{
    Checkpoint, Finding, Frontier, MemoryTree, Node, Record, RecordHeader, Report, Signer, TreeHead,
    Verification, record,
};

pub(crate) const ORIGIN: &str = "example.com/log";
pub(crate) const TENANT: [u8; 16] = [1; 16];

pub(crate) type Row = (u64, Vec<u8>, [u8; 32]);

/// A database: record rows, stored nodes, a checkpoint. All of it may be written to.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) rows: Vec<Row>,
    /// In the order in which they became complete.
    pub(crate) nodes: Vec<Node>,
    pub(crate) checkpoint: String,
}

impl Database {
    pub(crate) fn of(size: u64) -> Self {
        let mut database =
            Self { rows: (0..size).map(row).collect(), nodes: vec![], checkpoint: String::new() };
        database.store_nodes();
        database.checkpoint = sign(database.head(size), 7);
        database
    }

    /// Replaces every stored node by what the rows add up to, as an attacker does who knows how.
    pub(crate) fn store_nodes(&mut self) {
        let mut frontier = Frontier::default();
        self.nodes.clear();
        for (_, header, payload) in &self.rows {
            let leaf = record::leaf_hash(header, payload);
            frontier.append_each(leaf, |node| self.nodes.extend(node.is_stored().then_some(node)));
        }
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        let leaves =
            self.rows[..size as usize].iter().map(|(_, header, payload)| record::leaf_hash(header, payload));
        leaves.collect::<MemoryTree>().head()
    }

    pub(crate) fn alter(&mut self, number: u64) {
        self.rows[number as usize].2[0] ^= 1;
    }

    pub(crate) fn node(&mut self, level: u8, index: u64) -> &mut Node {
        self.nodes.iter_mut().find(|node| (node.level, node.index) == (level, index)).unwrap()
    }

    /// Stores what the altered row's leaf would be.
    pub(crate) fn alter_with_leaf(&mut self, number: u64) {
        self.alter(number);
        let (_, header, payload) = &self.rows[number as usize];
        self.node(0, number).hash = record::leaf_hash(header, payload);
    }

    /// Takes rows out and closes the gap.
    pub(crate) fn delete_and_renumber(&mut self, number: u64) {
        self.rows.remove(number as usize);
        (0..).zip(&mut self.rows).for_each(|(number, row)| row.0 = number);
    }

    pub(crate) fn verification(&self) -> Verification {
        Verification::new(&self.checkpoint, ORIGIN, &[signer(7).verifier()]).tenant(TENANT)
    }

    /// Verifies everything, the stored tree included.
    pub(crate) fn verify(&self, verification: Verification) -> Report {
        self.run(verification, |_| true)
    }

    pub(crate) fn run(
        &self,
        mut verification: Verification,
        mut is_fed: impl FnMut(&Node) -> bool,
    ) -> Report {
        let mut nodes = self.nodes.iter().filter(|node| is_fed(node)).peekable();
        for (number, header, payload_hash) in &self.rows {
            // Everything under the next record's tile goes first.
            let tile_end = (number | 0xff).saturating_add(1);
            while let Some(node) = nodes.next_if(|node| (node.index + 1) << node.level <= tile_end) {
                verification.stored(*node);
            }
            verification.push(Record { number: *number, header, payload_hash });
        }
        nodes.for_each(|node| verification.stored(*node));
        verification.finish()
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.verify(self.verification()).findings
    }
}

pub(crate) fn row(number: u64) -> Row {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let header = RecordHeader {
        tenant: TENANT,
        id,
        at: 1_790_000_000_000 + number as i64,
        actor: "acc_7F3KQ2M".into(),
        via: String::new(),
        action: "item.write".into(),
        subject: format!("itm_{number}"),
        corrects: None,
        request: String::new(),
    };
    (number, header.encode().unwrap(), record::payload_hash(&number.to_be_bytes()))
}

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

pub(crate) fn sign(head: TreeHead, seed: u8) -> String {
    Checkpoint::new(ORIGIN, head).unwrap().sign(&signer(seed)).unwrap().to_string()
}
