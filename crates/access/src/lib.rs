//! Who may do what: callers, Cedar policies, and the one way into a transaction
