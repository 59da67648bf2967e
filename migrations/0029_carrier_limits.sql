CREATE TABLE carrier_limits (
    carrier VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'carriers.name',
    kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'submit: message parts; query: status queries',
    per_second INT UNSIGNED NULL COMMENT 'Configured limit in units (parts or queries) per second; NULL: the default of the deployment, or learned',
    requests_per_second INT UNSIGNED NULL COMMENT 'Configured limit in HTTP requests per second; NULL: no such limit',
    learned_per_second DOUBLE NULL COMMENT 'Limit learned from 429 answers in units per second; NULL: no 429 so far',
    ceiling_per_second DOUBLE NULL COMMENT 'The learned limit at the last 429; the limit grows slowly near it. NULL: the search for the limit is not over',
    grown_at_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. When the learned limit last grew',
    refused_at_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. When a 429 last reduced the learned limit',
    granted_at_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. The start of the last granted slot',
    free_at_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. The time until which units are granted (GCRA)',
    requests_free_at_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. The time until which requests are granted (GCRA)',
    blocked_until_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. Nothing is granted before: the carrier has sent Retry-After',
    high_until_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. Schedules of priority high only, until then',
    response_us BIGINT UNSIGNED NOT NULL DEFAULT 100000 COMMENT 'Moving average of the response time of a request in microseconds',
    PRIMARY KEY (carrier, kind)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'The limits of a carrier, and the token bucket that keeps each of them for all environments together'
