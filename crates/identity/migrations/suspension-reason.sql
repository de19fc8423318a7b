ALTER TABLE account ADD COLUMN sealed_suspension_reason BLOB;
