CREATE TABLE sessions (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7; identifies the family of refresh tokens, and is the claim sid of the access tokens',
    user_id BINARY(16) NOT NULL COMMENT 'users.id',
    address VARCHAR(45) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'IP address of the login',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC. Time of the login',
    expires_at DATETIME(3) NOT NULL COMMENT 'UTC. No refresh is possible after this time',
    ended_at DATETIME(3) NULL COMMENT 'UTC. Time of the logout, or when a password change, a disabled user or a reused refresh token ended the session',
    PRIMARY KEY (id),
    KEY of_user (user_id, ended_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per login'
