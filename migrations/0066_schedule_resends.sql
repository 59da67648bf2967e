CREATE TABLE schedule_resends (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id of the schedule that sends again',
    resend_of BINARY(16) NOT NULL COMMENT 'schedules.id of the finished schedule whose recipients it has',
    generation TINYINT UNSIGNED NOT NULL COMMENT 'How often in a row it sends again, from 1',
    statuses VARCHAR(64) CHARACTER SET ascii NOT NULL COMMENT 'The states of the recipients that are copied, joined by commas',
    is_draft BOOLEAN NOT NULL COMMENT 'Whether it stays a draft when its list is complete',
    next_seq INT UNSIGNED NULL COMMENT 'recipients.seq of the finished schedule at which the copy goes on; NULL: the list is complete',
    PRIMARY KEY (schedule_id),
    KEY by_original (resend_of, schedule_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Schedules that send again to recipients of a finished one'
