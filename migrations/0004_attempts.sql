CREATE TABLE attempts (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    seq INT UNSIGNED NOT NULL COMMENT 'recipients.seq',
    attempt INT UNSIGNED NOT NULL COMMENT 'recipients.attempt of an attempt that was followed by another',
    status VARCHAR(10) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Final state of the attempt, as far as known',
    message_id VARCHAR(512) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Message ids from the carrier, separated by commas',
    carrier_status VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Last status as the carrier reported it',
    error VARCHAR(64) NULL COMMENT 'Reason for the state, if the state alone does not explain it',
    sent_at DATETIME(3) NOT NULL COMMENT 'UTC. Time of the mark, just before the HTTP request',
    final_at DATETIME(3) NULL COMMENT 'UTC. When the state became final; NULL: not known to be final',
    PRIMARY KEY (schedule_id, seq, attempt),
    CONSTRAINT attempt_status CHECK (status IN ('UNCERTAIN', 'ACCEPTD', 'ENROUTE', 'DELIVRD', 'UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD', 'UNKNOWN')),
    CONSTRAINT attempt_final CHECK ((final_at IS NOT NULL) = (status IN ('DELIVRD', 'UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD', 'UNKNOWN')))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per earlier attempt of a message that was resent'
