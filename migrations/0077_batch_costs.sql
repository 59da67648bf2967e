CREATE TABLE batch_costs (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    batch_no INT UNSIGNED NOT NULL COMMENT 'batches.batch_no',
    parts BIGINT UNSIGNED NOT NULL COMMENT 'Message parts that the carrier has accepted, or may have; resends count again',
    micros BIGINT UNSIGNED NOT NULL COMMENT 'Their cost, in millionths of the currency unit',
    unpriced_parts BIGINT UNSIGNED NOT NULL COMMENT 'Parts to numbers without a price; their cost is in no sum',
    PRIMARY KEY (schedule_id, batch_no)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'What batches have cost so far: added at the end of each pass, if the schedule has prices'
