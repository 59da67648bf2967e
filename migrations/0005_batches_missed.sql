ALTER TABLE batches
    ADD COLUMN missed_at DATETIME(3) NULL COMMENT 'UTC. Set if the batch was later than max_lateness_s: its recipients that were never sent to wait for an operator' AFTER sweep_at,
    ADD KEY missed (missed_at),
    ADD KEY with_uncertain (uncertain)
