ALTER TABLE batches
    ADD COLUMN missed_at DATETIME(3) NULL COMMENT 'UTC. Set: found later than the maximum lateness, so that what was never sent waits for a person' AFTER sweep_at,
    ADD KEY missed (missed_at),
    ADD KEY with_uncertain (uncertain)
