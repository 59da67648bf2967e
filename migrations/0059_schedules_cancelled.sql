ALTER TABLE schedules
    ADD COLUMN cancelled_count INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Recipients that were cancelled one by one before the cut and are in no batch; those in a batch are counted there'
