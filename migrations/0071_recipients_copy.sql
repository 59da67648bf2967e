-- Functions of the release before do not know this column: their recipients have 0, and their
-- appends skip a number that a schedule has, also with unique_by = reference.
ALTER TABLE recipients
    ADD COLUMN copy TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'With schedules.unique_by = reference: seq DIV 100000000, different for each recipient with the number. Else 0'
