CREATE TABLE users (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Characters a-z 0-9 . _ - @',
    role VARCHAR(10) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'viewer, operator, admin',
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'argon2id, as a PHC string',
    password_expires_at DATETIME(3) NULL COMMENT 'UTC. Set for a temporary password: it must be changed at the first login, before this time',
    disabled_at DATETIME(3) NULL COMMENT 'UTC. Set if the account is disabled: it can neither log in nor make calls',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    last_login_at DATETIME(3) NULL COMMENT 'UTC',
    PRIMARY KEY (id),
    UNIQUE KEY username_once (username),
    CONSTRAINT user_role CHECK (role IN ('viewer', 'operator', 'admin'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per user who logs in with a password'
