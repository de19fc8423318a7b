//! Root keys, tenant keys, data keys, sealing and shredding
