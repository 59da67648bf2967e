CREATE TABLE api_keys (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    name VARCHAR(64) NOT NULL COMMENT 'What it is for',
    prefix CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'Its beginning, to tell keys apart',
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the whole key, whose secret part is 256 random bits',
    permissions VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Words, separated by blanks',
    messages_per_day INT UNSIGNED NULL COMMENT 'Recipients that it may add in a day (UTC); NULL: any number',
    created_by VARCHAR(80) NOT NULL COMMENT 'Who made it, as audit_log.actor',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    expires_at DATETIME(3) NULL COMMENT 'UTC. NULL: never',
    revoked_at DATETIME(3) NULL COMMENT 'UTC',
    PRIMARY KEY (id),
    UNIQUE KEY hash_once (hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Machines that call the API'
