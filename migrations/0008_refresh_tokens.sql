CREATE TABLE refresh_tokens (
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the token; the token is 256 random bits and is not stored',
    session_id BINARY(16) NOT NULL COMMENT 'sessions.id',
    issued_at DATETIME(3) NOT NULL COMMENT 'UTC',
    used_at DATETIME(3) NULL COMMENT 'UTC. A second use ends the session, because one of the two callers has a stolen token',
    PRIMARY KEY (hash),
    KEY of_session (session_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per refresh token; a refresh uses one token and issues the next'
