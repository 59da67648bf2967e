CREATE TABLE recovery_codes (
    user_id BINARY(16) NOT NULL COMMENT 'users.id',
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the code, which has 80 random bits',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    used_at DATETIME(3) NULL COMMENT 'UTC. Time of the login that used it; NULL: it can be used',
    PRIMARY KEY (user_id, hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Codes that replace one of the second factor, once'
