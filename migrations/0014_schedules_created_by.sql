ALTER TABLE schedules
    ADD COLUMN created_by VARCHAR(80) NULL COMMENT 'Creator, in the form of audit_log.actor; NULL: created before logins existed' AFTER finished_at
