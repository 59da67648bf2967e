-- Functions of the release before do not know these columns: they erase nothing, and their schedules
-- have no mark.
ALTER TABLE schedules
    ADD COLUMN erased_to_seq INT UNSIGNED NULL COMMENT 'recipients.seq up to which personal data is erased; NULL: its erasure has not begun',
    ADD COLUMN personal_data_erased_at DATETIME(3) NULL COMMENT 'UTC. When the last of its personal data was erased; NULL: it is still there',
    ADD KEY to_erase (personal_data_erased_at, run_at)
