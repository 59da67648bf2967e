CREATE TABLE recipient_variables (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    seq INT UNSIGNED NOT NULL COMMENT 'recipients.seq',
    variables TEXT NOT NULL COMMENT 'Variables given with the number: a JSON object of strings with lower-case names, at most 4,096 bytes',
    PRIMARY KEY (schedule_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per recipient with template variables; recipients without variables have no row'
