ALTER TABLE carriers
    MODIFY COLUMN bulk_credit BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Message parts admitted of normal schedules while a bulk one waited: nine of them pay for one part of a bulk schedule',
    ADD COLUMN high_virtual_parts BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Virtual time of the schedules of priority high: turns.virtual_parts of the last one whose batch was admitted; a schedule that joins them starts there',
    ADD COLUMN normal_virtual_parts BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'The same for priority normal',
    ADD COLUMN bulk_virtual_parts BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'The same for priority bulk'
