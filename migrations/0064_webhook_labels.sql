CREATE TABLE webhook_labels (
    webhook_id BINARY(16) NOT NULL COMMENT 'webhooks.id',
    label VARCHAR(64) NOT NULL COMMENT 'A label of schedules whose events the webhook gets',
    PRIMARY KEY (webhook_id, label)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'The labels of webhooks'
