ALTER TABLE schedules
    ADD COLUMN priority VARCHAR(8) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT 'normal' COMMENT 'high, normal or bulk' AFTER rate,
    ADD COLUMN rate_free_at_us BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Microseconds since 1970. The time until which messages are granted by the rate (GCRA)' AFTER priority,
    ADD COLUMN send_until DATETIME(3) NULL COMMENT 'UTC. What has not been sent by then ends EXPIRED; NULL: no such end, or send_within_s' AFTER max_lateness_s,
    ADD COLUMN send_within_s INT UNSIGNED NULL COMMENT 'The same end as seconds after run_at; NULL: no such end, or send_until' AFTER send_until,
    ADD CONSTRAINT schedule_priority CHECK (priority IN ('high', 'normal', 'bulk'))
