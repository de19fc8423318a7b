//! Access tokens, signing keys and their rotation
