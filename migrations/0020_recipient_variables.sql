CREATE TABLE recipient_variables (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    seq INT UNSIGNED NOT NULL COMMENT 'recipients.seq',
    variables TEXT NOT NULL COMMENT 'What came with the number: a JSON object of strings, names in lower case; at most 4,096 bytes',
    PRIMARY KEY (schedule_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Of personal texts, what differs from recipient to recipient; no row where nothing was given'
