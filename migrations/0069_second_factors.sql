CREATE TABLE second_factors (
    user_id BINARY(16) NOT NULL COMMENT 'users.id',
    id BINARY(16) NOT NULL COMMENT 'UUIDv7. The secret is derived from it and from a key, and is in no row',
    key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'kid of the key, one of those of the webhooks',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    confirmed_at DATETIME(3) NULL COMMENT 'UTC. Time of the first right code; NULL: logins do not need a code yet',
    last_step BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Time step (RFC 6238) of the last accepted code; this code and older ones are not accepted again',
    PRIMARY KEY (user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per user with a second factor'
