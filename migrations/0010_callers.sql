CREATE TABLE callers (
    caller BINARY(32) NOT NULL COMMENT 'Identity of the caller: api_keys.hash, or the SHA-256 of user:ID, issuer:SUBJECT or address:IP',
    free_at_us BIGINT UNSIGNED NOT NULL COMMENT 'Theoretical arrival time (GCRA) in microseconds of Unix time; each request advances it by one minute divided by the limit',
    last_used_at DATETIME(3) NOT NULL COMMENT 'UTC. Time of the last request',
    PRIMARY KEY (caller)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per caller: its request rate, shared by all processes'
