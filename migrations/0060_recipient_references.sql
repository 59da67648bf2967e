CREATE TABLE recipient_references (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    seq INT UNSIGNED NOT NULL COMMENT 'recipients.seq',
    reference VARCHAR(64) NULL COMMENT 'What the client''s system calls the recipient or the message; need not be unique',
    group_name VARCHAR(64) NULL COMMENT 'The group that the recipient belongs to, such as a region or a store',
    PRIMARY KEY (schedule_id, seq),
    KEY by_reference (reference, schedule_id, seq),
    KEY by_group (schedule_id, group_name, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per recipient with a reference or a group; the others have no row'
