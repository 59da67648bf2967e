CREATE TABLE budgets (
    id BINARY(16) NOT NULL COMMENT 'UUID',
    scope VARCHAR(80) NOT NULL COMMENT 'system: all that is sent; else the creator of the schedules, as in schedules.created_by. What keys of a person send counts for the person too',
    period VARCHAR(5) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'day or month, UTC',
    unit VARCHAR(5) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'parts or money',
    amount BIGINT UNSIGNED NOT NULL COMMENT 'The most parts, or millionths of the currency unit, of a period',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    updated_at DATETIME(3) NOT NULL COMMENT 'UTC',
    PRIMARY KEY (id),
    UNIQUE KEY once (scope, period, unit)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'What may be sent in a day or a month'
