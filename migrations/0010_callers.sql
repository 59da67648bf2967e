CREATE TABLE callers (
    caller BINARY(32) NOT NULL COMMENT 'Who calls: api_keys.hash, or the SHA-256 of user:ID, issuer:SUBJECT, address:IP',
    free_at_us BIGINT UNSIGNED NOT NULL COMMENT 'Microseconds of Unix time until which its requests are paid for (GCRA); a request moves it on by its share of the minute',
    last_used_at DATETIME(3) NOT NULL COMMENT 'UTC. Its last request',
    PRIMARY KEY (caller)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'The request rate of each caller, the same for every process'
