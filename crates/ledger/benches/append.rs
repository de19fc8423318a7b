// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the log costs: appending, proving, checking, verifying.

use std::convert::Infallible;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use ledger::{
    Checkpoint, ConsistencyProof, Frontier, Hash, InclusionProof, MemoryTree, Node, Record, Signer, TreeHead,
    Verification, record,
};

fn main() {
    divan::main();
}

const LEAVES: u64 = 10_000;

/// Leaves per second ("items") for entries of so many bytes: hash the entry, append, collect the nodes to store.
#[divan::bench(args = [64, 300, 1024])]
fn append(bencher: Bencher, entry_bytes: usize) {
    let mut entry = vec![7; entry_bytes];
    bencher.counter(ItemsCount::new(LEAVES)).bench_local(|| {
        let mut frontier = Frontier::default();
        let mut stored = 0;
        for number in 0..LEAVES {
            if let Some(start) = entry.first_chunk_mut() {
                *start = number.to_be_bytes();
            }
            frontier.append_each(Hash::leaf(&entry), |node| stored += u64::from(node.is_stored()));
        }
        (frontier.root(), stored)
    });
}

const TEN_MILLION: u64 = 10_000_000;

/// A tree of which every node is its coordinates: reading costs nothing, as if all were cached.
fn synthetic(level: u8, index: u64) -> Result<Hash, Infallible> {
    let mut bytes = [level; 32];
    if let Some(start) = bytes.first_chunk_mut() {
        *start = index.to_be_bytes();
    }
    Ok(Hash::from(bytes))
}

#[divan::bench]
fn prove_inclusion_in_ten_million(bencher: Bencher) {
    bencher.bench(|| InclusionProof::prove(&synthetic, black_box(7_654_321), TEN_MILLION));
}

#[divan::bench]
fn prove_consistency_to_ten_million(bencher: Bencher) {
    bencher.bench(|| ConsistencyProof::prove(&synthetic, black_box(7_654_321), TEN_MILLION));
}

/// All of the work and then the comparison with a root that is another.
#[divan::bench]
fn check_inclusion_in_ten_million(bencher: Bencher) {
    let Ok(proof) = InclusionProof::prove(&synthetic, 7_654_321, TEN_MILLION) else { return };
    let head = TreeHead { size: TEN_MILLION, root: Hash::EMPTY };
    bencher.bench(|| proof.verify(7_654_321, black_box(&Hash::EMPTY), &head));
}

#[divan::bench]
fn sign_a_checkpoint(bencher: Bencher) {
    let Ok(signer) = Signer::from_seed("example.com/log", &[7; 32]) else { return };
    let head = TreeHead { size: TEN_MILLION, root: Hash::EMPTY };
    bencher.bench(|| Checkpoint::new("example.com/log", black_box(head)).map(|it| it.sign(&signer)));
}

/// Records per second that a verification holds against stored leaves and a signed head.
#[divan::bench]
fn verify_records(bencher: Bencher) {
    let Ok(signer) = Signer::from_seed("example.com/log", &[7; 32]) else { return };
    let header = [1; 300];
    let payload = [2; 32];
    let leaf = record::leaf_hash(&header, &payload);
    let head = (0..LEAVES).map(|_| leaf).collect::<MemoryTree>().head();
    let Ok(checkpoint) = Checkpoint::new("example.com/log", head) else { return };
    let Ok(checkpoint) = checkpoint.sign(&signer).map(|checkpoint| checkpoint.to_string()) else { return };
    bencher.counter(ItemsCount::new(LEAVES)).bench(|| {
        let mut verification = Verification::new(&checkpoint, "example.com/log", &[signer.verifier()]);
        for number in 0..LEAVES {
            verification.stored(Node { level: 0, index: number, hash: leaf });
            verification.push(Record { number, header: &header, payload_hash: &payload });
        }
        verification.finish().verified_size
    });
}
