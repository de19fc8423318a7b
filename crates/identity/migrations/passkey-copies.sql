ALTER TABLE passkey ADD COLUMN copy_told_at INTEGER;
