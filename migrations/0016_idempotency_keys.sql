CREATE TABLE idempotency_keys (
    id BINARY(32) NOT NULL COMMENT 'SHA-256 of the caller and the key that it gave',
    fingerprint BINARY(32) NOT NULL COMMENT 'SHA-256 of the request: method, target, content type, body',
    token BINARY(16) NOT NULL COMMENT 'Which attempt at the request this is; only that one may commit',
    locked_until DATETIME(3) NOT NULL COMMENT 'UTC. Until then that attempt may be at work',
    thing VARCHAR(80) NULL COMMENT 'What it changed, as audit_log.thing: set in the transaction of the change',
    status SMALLINT UNSIGNED NULL COMMENT 'HTTP status of the answer; NULL: not answered yet, or the answer was lost',
    content_type VARCHAR(64) NULL COMMENT 'Of the answer',
    location VARCHAR(255) NULL COMMENT 'Header of the answer',
    body MEDIUMBLOB NULL COMMENT 'The answer; NULL where it is not kept: it holds a secret, or is too long',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC. Kept for 24 hours from then',
    PRIMARY KEY (id),
    KEY by_age (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Requests with an Idempotency-Key, and what they were answered'
