CREATE TABLE refresh_tokens (
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the token, which is 256 random bits and stands nowhere',
    session_id BINARY(16) NOT NULL COMMENT 'sessions.id',
    issued_at DATETIME(3) NOT NULL COMMENT 'UTC',
    used_at DATETIME(3) NULL COMMENT 'UTC. A second use ends the session: one of the two was a thief',
    PRIMARY KEY (hash),
    KEY of_session (session_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row a refresh token; a refresh uses one and issues the next'
