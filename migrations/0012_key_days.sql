CREATE TABLE key_days (
    key_id BINARY(16) NOT NULL COMMENT 'api_keys.id',
    day DATE NOT NULL COMMENT 'UTC',
    messages INT UNSIGNED NOT NULL COMMENT 'Recipients that it added on that day',
    PRIMARY KEY (key_id, day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'What a key that has messages_per_day has used of it'
