ALTER TABLE tenant_state ADD COLUMN provider_required_since INTEGER;
