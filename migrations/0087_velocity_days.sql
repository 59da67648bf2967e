CREATE TABLE velocity_days (
    created_by VARCHAR(80) NOT NULL COMMENT 'schedules.created_by',
    day DATE NOT NULL COMMENT 'UTC day',
    most_parts BIGINT UNSIGNED NOT NULL COMMENT 'The most message parts of schedules of this creator that began within one hour, as a sweep of the day has seen them',
    exceeded_at DATETIME(3) NULL COMMENT 'UTC. When a sweep of the day first found more of them than the rule allows; NULL: none did',
    PRIMARY KEY (created_by, day),
    KEY by_day (day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'How fast callers have begun to send: one row per creator and day, if that was fast enough to matter'
