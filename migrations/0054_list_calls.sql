CREATE TABLE list_calls (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    call_no INT UNSIGNED NOT NULL COMMENT 'The number of the call that brought the list, from 1',
    first_seq INT UNSIGNED NOT NULL COMMENT 'recipients.seq of its first entry; the next call begins after its last',
    hash BINARY(32) NOT NULL COMMENT 'SHA-256 of the list and of how it is read; a repeated call is recognised by it',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    PRIMARY KEY (schedule_id, call_no),
    UNIQUE KEY once (schedule_id, hash),
    KEY by_seq (schedule_id, first_seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'The calls that have added entries to the list of a schedule'
