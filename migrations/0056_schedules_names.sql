ALTER TABLE schedules
    ADD COLUMN name VARCHAR(100) NULL COMMENT 'What people call it',
    ADD COLUMN reference VARCHAR(64) NULL COMMENT 'What the client''s system calls it; need not be unique',
    ADD COLUMN labels VARCHAR(3000) NULL COMMENT 'JSON array of its labels; each has a row in schedule_labels',
    ADD KEY by_reference (reference, id)
