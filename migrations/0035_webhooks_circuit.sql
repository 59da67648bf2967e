ALTER TABLE webhooks
    ADD COLUMN failures INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Failed posts since the last accepted one; from three on, the circuit breaker opens' AFTER failing_since,
    ADD COLUMN accepted_at DATETIME(3) NULL COMMENT 'UTC. Time of the last accepted post; NULL: none since the webhook got its URL' AFTER failures,
    ADD COLUMN suspended_until DATETIME(3) NULL COMMENT 'UTC. The circuit breaker is open: nothing is posted until then, and then one post as a probe. During the probe, the end of its lease. NULL: it is closed' AFTER accepted_at,
    ADD COLUMN posts_period BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Number of the last period of 20 s, since 1970, in which a post has started' AFTER suspended_until,
    ADD COLUMN posts INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Posts that have started in posts_period and not ended' AFTER posts_period,
    ADD COLUMN posts_before INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'The same for the period before posts_period. Posts of older periods have crashed, and are not counted' AFTER posts
