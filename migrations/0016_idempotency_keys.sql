CREATE TABLE idempotency_keys (
    id BINARY(32) NOT NULL COMMENT 'SHA-256 of the caller and its Idempotency-Key',
    fingerprint BINARY(32) NOT NULL COMMENT 'SHA-256 of the request: method, target, content type and body',
    token BINARY(16) NOT NULL COMMENT 'Identifies the current attempt at the request; only this attempt may commit',
    locked_until DATETIME(3) NOT NULL COMMENT 'UTC. Until then the current attempt may still run',
    thing VARCHAR(80) NULL COMMENT 'Resource that it changed, in the form of audit_log.thing; set in the transaction of the change',
    status SMALLINT UNSIGNED NULL COMMENT 'HTTP status of the response; NULL: no response yet, or the response was lost',
    content_type VARCHAR(64) NULL COMMENT 'Header of the response',
    location VARCHAR(255) NULL COMMENT 'Header of the response',
    body MEDIUMBLOB NULL COMMENT 'Body of the response; NULL if it is not stored because it contains a secret or is too long',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC. The row is kept for 24 hours after this time',
    PRIMARY KEY (id),
    KEY by_age (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per Idempotency-Key and caller: the request and its response'
