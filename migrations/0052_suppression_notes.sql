CREATE TABLE suppression_notes (
    phone VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'suppressions.phone',
    id BINARY(16) NOT NULL COMMENT 'UUIDv7',
    reason VARCHAR(255) NULL COMMENT 'Reason, as free text',
    source VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Origin: api, or a value that the client chose',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) NOT NULL COMMENT 'Who added it, in the form of audit_log.actor',
    PRIMARY KEY (phone, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Reasons that were given for a number after it was suppressed; the first reason is in suppressions'
