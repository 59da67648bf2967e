CREATE TABLE webhooks (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Target of the POST requests',
    events VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Subscribed event types, separated by commas',
    description VARCHAR(255) NULL COMMENT 'Free text',
    key_id VARCHAR(64) NOT NULL COMMENT 'The key of WEBHOOK_KEYS from which the secret is derived; the secret itself is not stored',
    secret_no INT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'Incremented by each rotation of the secret',
    rotated_at DATETIME(3) NULL COMMENT 'UTC. Time of the last rotation; for one day after it the previous secret signs too',
    failing_since DATETIME(3) NULL COMMENT 'UTC. Start of the current series of failed deliveries; NULL: the last delivery succeeded, or there was none',
    disabled_at DATETIME(3) NULL COMMENT 'UTC. Set if the webhook is disabled: nothing is posted to it',
    disabled_reason VARCHAR(64) NULL COMMENT 'Reason, if the system disabled the webhook',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) NOT NULL COMMENT 'Creator, in the form of audit_log.actor',
    PRIMARY KEY (id),
    CONSTRAINT webhook_reason CHECK (disabled_reason IS NULL OR disabled_at IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per URL that subscribes to events'
