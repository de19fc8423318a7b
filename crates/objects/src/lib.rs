//! Encrypted collections, items, files and their synchronisation
