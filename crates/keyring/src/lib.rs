//! Everything a client does with keys; pure, builds natively and for WebAssembly
