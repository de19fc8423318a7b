ALTER TABLE account ADD COLUMN suspended_at INTEGER;
