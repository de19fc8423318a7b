//! The Rust SDK and the command line
