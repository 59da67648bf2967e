ALTER TABLE schedules
    ADD COLUMN created_by VARCHAR(80) NULL COMMENT 'Who made it, as audit_log.actor; NULL: before there was a login' AFTER finished_at
