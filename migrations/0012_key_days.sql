CREATE TABLE key_days (
    key_id BINARY(16) NOT NULL COMMENT 'api_keys.id',
    day DATE NOT NULL COMMENT 'UTC day',
    messages INT UNSIGNED NOT NULL COMMENT 'Recipients that the key added on that day',
    PRIMARY KEY (key_id, day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per API key and day: how much of messages_per_day is used'
