CREATE TABLE users (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'a-z 0-9 . _ - @',
    role VARCHAR(10) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'viewer, operator, admin',
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'argon2id, PHC string',
    password_expires_at DATETIME(3) NULL COMMENT 'UTC. Set: temporary, to be changed at the first login, which must come before this',
    disabled_at DATETIME(3) NULL COMMENT 'UTC. Set: neither logs in nor acts',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    last_login_at DATETIME(3) NULL COMMENT 'UTC',
    PRIMARY KEY (id),
    UNIQUE KEY username_once (username),
    CONSTRAINT user_role CHECK (role IN ('viewer', 'operator', 'admin'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'People who log in here'
