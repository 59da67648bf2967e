CREATE TABLE known_devices (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    user_id BINARY(16) NOT NULL COMMENT 'users.id',
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the token; the token is 256 random bits and is not stored',
    last_used_at DATETIME(3) NOT NULL COMMENT 'UTC. After 180 days the device is unknown again',
    PRIMARY KEY (id),
    UNIQUE KEY by_hash (hash),
    KEY of_user (user_id, last_used_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Devices on which a user has logged in: the failed logins of others do not delay theirs'
