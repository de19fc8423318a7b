ALTER TABLE policy_version ADD COLUMN restores INTEGER;
