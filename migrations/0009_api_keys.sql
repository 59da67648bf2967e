CREATE TABLE api_keys (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    name VARCHAR(64) NOT NULL COMMENT 'Purpose of the key, chosen by the administrator',
    prefix CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'First characters of the key, to tell keys apart',
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the whole key; its secret part is 256 random bits',
    permissions VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Names of permissions, separated by spaces',
    messages_per_day INT UNSIGNED NULL COMMENT 'Recipients that the key may add per day (UTC); NULL: no limit',
    created_by VARCHAR(80) NOT NULL COMMENT 'Creator, in the form of audit_log.actor',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    expires_at DATETIME(3) NULL COMMENT 'UTC. End of validity; NULL: none',
    revoked_at DATETIME(3) NULL COMMENT 'UTC',
    PRIMARY KEY (id),
    UNIQUE KEY hash_once (hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per API key, for clients that are programs'
