ALTER TABLE batches
    ADD COLUMN waiting TINYINT(1) NOT NULL DEFAULT 0 COMMENT '1: to be sent, but not admitted yet: it waits for its turn at the carrier, and is on no queue' AFTER send_at,
    ADD KEY admitted (waiting, send_at),
    ADD KEY next_in_turn (schedule_id, waiting, batch_no)
