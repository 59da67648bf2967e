CREATE TABLE webhooks (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Where events are posted to',
    events VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Types of events that it wants, separated by commas',
    description VARCHAR(255) NULL COMMENT 'For people',
    key_id VARCHAR(64) NOT NULL COMMENT 'Which of WEBHOOK_KEYS its secret is made of; the secret itself is nowhere',
    secret_no INT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'Rises when its secret is rotated',
    rotated_at DATETIME(3) NULL COMMENT 'UTC. For a day from then the secret before signs too',
    failing_since DATETIME(3) NULL COMMENT 'UTC. Since when no delivery has succeeded; NULL: the last one did, or there was none',
    disabled_at DATETIME(3) NULL COMMENT 'UTC. Nothing is posted from then on',
    disabled_reason VARCHAR(64) NULL COMMENT 'Why, where the system disabled it',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) NOT NULL COMMENT 'Who, as audit_log.actor',
    PRIMARY KEY (id),
    CONSTRAINT webhook_reason CHECK (disabled_reason IS NULL OR disabled_at IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'URLs of users that want to be told of events'
