//! Merkle log arithmetic: leaves, tiles, checkpoints, proofs and their verification
