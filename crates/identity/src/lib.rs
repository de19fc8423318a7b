//! Accounts, login methods, sessions and devices
