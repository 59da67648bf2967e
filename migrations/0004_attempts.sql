CREATE TABLE attempts (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    seq INT UNSIGNED NOT NULL COMMENT 'recipients.seq',
    attempt INT UNSIGNED NOT NULL COMMENT 'recipients.attempt of the attempt that was followed by another',
    status VARCHAR(10) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'How that attempt ended',
    message_id VARCHAR(512) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'The ids that the carrier gave it',
    carrier_status VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Last status in the words of the carrier',
    error VARCHAR(64) NULL COMMENT 'Why it ended so, where that is not plain',
    sent_at DATETIME(3) NOT NULL COMMENT 'UTC. When it was sent',
    final_at DATETIME(3) NULL COMMENT 'UTC. When it ended; NULL while that is not known',
    PRIMARY KEY (schedule_id, seq, attempt),
    CONSTRAINT attempt_status CHECK (status IN ('UNCERTAIN', 'ACCEPTD', 'ENROUTE', 'DELIVRD', 'UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD', 'UNKNOWN')),
    CONSTRAINT attempt_final CHECK ((final_at IS NOT NULL) = (status IN ('DELIVRD', 'UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD', 'UNKNOWN')))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'The earlier attempts of messages that were sent again'
