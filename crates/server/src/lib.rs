//! The server: configuration, gateway, routes and background workers
