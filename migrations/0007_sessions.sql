CREATE TABLE sessions (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7; the family of the refresh tokens, and sid of the access tokens',
    user_id BINARY(16) NOT NULL COMMENT 'users.id',
    address VARCHAR(45) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Where the login came from',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC. The login',
    expires_at DATETIME(3) NOT NULL COMMENT 'UTC. No refresh after it',
    ended_at DATETIME(3) NULL COMMENT 'UTC. Logged out, or ended by a changed password, a disabled user, a refresh token used twice',
    PRIMARY KEY (id),
    KEY of_user (user_id, ended_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row a login'
