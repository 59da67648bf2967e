ALTER TABLE schedules
    ADD COLUMN auto_priority TINYINT(1) NOT NULL DEFAULT 0 COMMENT '1: the caller chose no priority, so it follows from the number of recipients' AFTER priority
