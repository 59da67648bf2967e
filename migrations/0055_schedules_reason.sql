ALTER TABLE schedules
    ADD COLUMN reason VARCHAR(200) NULL COMMENT 'Reason that the caller of the last pause or cancel has given; NULL once resumed'
