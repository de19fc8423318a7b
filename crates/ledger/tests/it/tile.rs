// SPDX-License-Identifier: Apache-2.0 OR MIT
use std::cell::RefCell;
use std::collections::BTreeMap;

use ledger::{
    BundleError, ConsistencyProof, EntryBundle, EntryTooLong, Frontier, Hash, HashReader, InclusionProof,
    MemoryTree, MissingNode, Tile, TileError, TileHashes, TilePathError, TileReadError,
};
use proptest::prelude::*;

use crate::reference;

#[test]
fn paths_are_those_of_the_specification() {
    for path in [
        "tile/0/000",
        "tile/0/x001/x234/067",
        "tile/0/x001/x234/067.p/8",
        "tile/1/042.p/17",
        "tile/7/000.p/1",
        "tile/3/x999/000.p/255",
    ] {
        assert_eq!(path.parse::<Tile>().unwrap().to_string(), path);
    }
    let tile: Tile = "tile/0/x001/x234/067.p/8".parse().unwrap();
    assert_eq!((tile.level(), tile.index(), tile.width()), (0, 1_234_067, 8));
    let bundle: EntryBundle = "tile/entries/x001/x234/067".parse().unwrap();
    assert_eq!((bundle.index(), bundle.width(), bundle.first_entry()), (1_234_067, 256, 1_234_067 * 256));
    assert_eq!(bundle.to_string(), "tile/entries/x001/x234/067");
}

#[test]
fn a_path_has_one_spelling() {
    use TilePathError::{Index, Level, Shape, Width};
    for (path, error) in [
        ("", Shape),
        ("tile", Shape),
        ("/tile/0/000", Shape),
        ("tile/0", Shape),
        ("tile/00/000", Level),
        ("tile/8/000", Level),
        ("tile/-1/000", Level),
        ("tile/+1/000", Level),
        ("tile/entries/000", Level),
        ("tile/0/0", Index),
        ("tile/0/0000", Index),
        ("tile/0/x000/001", Index),
        ("tile/0/001/002", Index),
        ("tile/0/x001", Index),
        ("tile/0/x001/", Index),
        ("tile/0/+01", Index),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", Index),
        ("tile/0/x072/x057/x594/x037/x927/936", Index),
        ("tile/7/001", Index),
        ("tile/0/000.p/0", Width),
        ("tile/0/000.p/256", Width),
        ("tile/0/000.p/01", Width),
        ("tile/0/000.p/", Width),
        ("tile/0/000.p/1.p/1", Width),
        ("tile/0/000.p", Index),
    ] {
        assert_eq!(path.parse::<Tile>(), Err(error), "{path}");
    }
    assert_eq!("tile/0/000".parse::<EntryBundle>(), Err(Shape));
    assert_eq!("tile/entries/x072/x057/x594/x037/x927/936".parse::<EntryBundle>(), Err(Index));
}

#[test]
fn a_tree_of_70_000_leaves_has_the_tiles_of_the_specification() {
    let tiles: Vec<Tile> = Tile::grown(0, 70_000).collect();
    let count = |level, is_full| {
        tiles.iter().filter(|tile| tile.level() == level && tile.is_full() == is_full).count()
    };
    assert_eq!(
        [0, 1, 2, 3].map(|level| (count(level, true), count(level, false))),
        [(273, 1), (1, 1), (0, 1), (0, 0)]
    );
    let partial = tiles.iter().filter(|tile| !tile.is_full()).map(Tile::to_string);
    assert!(partial.eq(["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]));
    let of_256: Vec<String> = Tile::grown(0, 256).map(|tile| tile.to_string()).collect();
    assert_eq!(of_256, ["tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn growing_names_exactly_the_tiles_that_are_new() {
    for (old, new) in
        [(0, 0), (5, 5), (5, 6), (255, 256), (256, 257), (300, 70_000), (65_535, 65_536), (9, 3)]
    {
        let before: Vec<Tile> = Tile::grown(0, old).collect();
        let added: Vec<Tile> = Tile::grown(0, new).filter(|tile| !before.contains(tile)).collect();
        let grown: Vec<Tile> = if old <= new { Tile::grown(old, new).collect() } else { Vec::new() };
        assert_eq!(grown, if old <= new { added } else { Vec::new() }, "{old} to {new}");
    }
}

#[test]
fn only_what_a_tree_contains_is_within_it() {
    let partial: Tile = "tile/0/001.p/3".parse().unwrap();
    assert!(!partial.is_within(258));
    assert!(partial.is_within(259));
    assert!(partial.is_within(100_000));
    assert!(!"tile/0/001".parse::<Tile>().unwrap().is_within(511));
    assert!(!"tile/1/000.p/1".parse::<Tile>().unwrap().is_within(255));
    assert_eq!(Tile::at(0, u64::MAX, u64::MAX), None);
    assert_eq!(Tile::at(200, 0, u64::MAX), None);
    assert_eq!(EntryBundle::at(1, 256), None);
    assert_eq!(Tile::of_node(2, 0, 5), Tile::at(0, 0, 5));
    assert_eq!(Tile::of_node(3, 0, 5), None);
    assert_eq!(EntryBundle::at(1, 300).map(|bundle| bundle.width()), Some(44));
}

#[test]
fn tiles_carry_everything_that_proofs_need() {
    let size = 70_000;
    let leaves = reference::leaves(size as u32);
    let tree: MemoryTree = leaves.into_iter().collect();
    let tiles: BTreeMap<Tile, Vec<u8>> =
        Tile::grown(0, size).map(|tile| (tile, tile.read(&tree).unwrap())).collect();
    let asked = RefCell::new(Vec::new());
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let reader = TileHashes::new(size, |tile: Tile| {
            asked.borrow_mut().push(tile);
            tiles.get(&tile).ok_or("no such tile")
        });
        let proof = InclusionProof::prove(&reader, index, size).unwrap();
        assert_eq!(proof, InclusionProof::prove(&tree, index, size).unwrap());
        assert_asked(&asked, InclusionProof::tiles(index, size));
        let reader = TileHashes::new(size, |tile: Tile| {
            asked.borrow_mut().push(tile);
            tiles.get(&tile).ok_or("no such tile")
        });
        let growth = ConsistencyProof::prove(&reader, index, size).unwrap();
        assert_eq!(growth, ConsistencyProof::prove(&tree, index, size).unwrap());
        assert_asked(&asked, ConsistencyProof::tiles(index, size));
        assert_eq!(Frontier::read(&reader, size).unwrap().root(), tree.head().root);
        asked.borrow_mut().clear();
    }
    assert!(InclusionProof::tiles(size, size).is_empty());
}

/// What was asked for is what was announced, each tile once.
fn assert_asked(asked: &RefCell<Vec<Tile>>, announced: Vec<Tile>) {
    let mut tiles = asked.take();
    tiles.sort();
    assert_eq!(tiles, announced);
}

#[test]
fn every_node_can_be_read_from_tiles_and_no_other() {
    let tree: MemoryTree = reference::leaves(1_000).into_iter().collect();
    let reader = TileHashes::new(1_000, |tile: Tile| tile.read(&tree));
    for level in 0..12 {
        for index in 0..=(1_000 >> level) {
            match tree.read(level, index) {
                Ok(hash) => assert_eq!(reader.read(level, index), Ok(hash)),
                Err(MissingNode { .. }) => {
                    assert_eq!(reader.read(level, index), Err(TileReadError::MissingNode { level, index }));
                }
            }
        }
    }
    assert!(reader.read(255, u64::MAX).is_err());
    assert!(reader.read(0, u64::MAX).is_err());
}

#[test]
fn a_tile_of_another_length_is_refused() {
    let tile: Tile = "tile/0/000.p/2".parse().unwrap();
    assert_eq!(tile.decode(&[7; 64]), Ok(vec![Hash::from([7; 32]); 2]));
    let places = tile.nodes(&[7; 64]).unwrap().map(|node| (node.level, node.index));
    assert!(places.eq([(0, 0), (0, 1)]));
    let above: Tile = "tile/1/002.p/1".parse().unwrap();
    assert!(above.nodes(&[7; 32]).unwrap().map(|node| (node.level, node.index)).eq([(8, 512)]));
    for length in [0, 32, 63, 65, 96] {
        assert_eq!(tile.decode(&vec![7; length]), Err(TileError::Length { tile, found: length }));
    }
    let reader = TileHashes::new(2, |_| Ok::<_, ()>(vec![0; 32]));
    assert_eq!(reader.read(1, 0), Err(TileReadError::Tile(TileError::Length { tile, found: 32 })));
    let failing = TileHashes::new(2, |_| Err::<Vec<u8>, _>("offline"));
    assert_eq!(failing.read(0, 0), Err(TileReadError::Source("offline")));
}

#[test]
fn bundles_hold_exactly_their_entries() {
    let entries: [&[u8]; 3] = [b"", b"ab", &[9; 65_535]];
    let bytes = EntryBundle::encode(&entries).unwrap();
    assert_eq!(bytes[..6], *b"\x00\x00\x00\x02ab");
    let of = |width| EntryBundle::at(0, width).unwrap();
    assert_eq!(of(3).decode(&bytes), Ok(entries.to_vec()));
    assert_eq!(of(4).decode(&bytes), Err(BundleError::TooFew { expected: 4, found: 3 }));
    assert_eq!(of(2).decode(&bytes), Err(BundleError::TooMany { expected: 2 }));
    for end in [1, 3, 5, 7, bytes.len() - 1] {
        assert_eq!(of(3).decode(&bytes[..end]), Err(BundleError::Truncated), "{end}");
    }
    assert_eq!(EntryBundle::encode(&[[0; 65_536]]), Err(EntryTooLong(65_536)));
}

proptest! {
    #[test]
    fn any_tile_survives_its_path(level in 0..=7_u8, index: u64, size: u64) {
        let index = index.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
        for tile in [Tile::at(level, index, size), Tile::at(level, index, u64::MAX)].into_iter().flatten() {
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
            prop_assert!(tile.is_within(u64::MAX));
        }
    }

    #[test]
    fn any_entries_survive_their_bundle(entries: Vec<Vec<u8>>) {
        if let Some(bundle) = EntryBundle::at(0, entries.len() as u64) {
            let bytes = EntryBundle::encode(&entries).unwrap();
            prop_assert_eq!(bundle.decode(&bytes).unwrap(), entries);
        }
    }
}
