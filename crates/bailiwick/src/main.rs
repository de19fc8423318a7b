//! The one program: server and command line.
fn main() {}
