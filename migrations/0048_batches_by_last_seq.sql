ALTER TABLE batches
    ADD KEY by_last_seq (schedule_id, last_seq)
