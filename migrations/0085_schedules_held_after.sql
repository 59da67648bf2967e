-- Functions of the release before do not know this column, and send what it holds. No row has a value
-- unless a call names a canary, which only this release accepts.
ALTER TABLE schedules
    ADD COLUMN held_after INT UNSIGNED NULL COMMENT 'batches.batch_no of the last batch of the canary: no batch after it is admitted or claimed until the canary is decided; NULL: none is held'
