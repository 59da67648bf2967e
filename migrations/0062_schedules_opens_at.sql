-- Functions of the release before do not know this column: they cut a schedule at run_at, and its
-- batches wait for the window. Rows that they write have NULL; dispatch sets it when it finds the
-- schedule too early.
ALTER TABLE schedules
    ADD COLUMN opens_at DATETIME(3) NULL COMMENT 'UTC. When it begins, if its window is closed at run_at; NULL: it begins at run_at' AFTER run_at_offset
