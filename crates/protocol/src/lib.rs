//! Request and response types, error codes and scopes shared by server and clients
