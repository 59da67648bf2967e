CREATE TABLE suppressions (
    phone VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'E.164 with the plus sign; nothing is sent to this number',
    reason VARCHAR(255) NULL COMMENT 'Reason, as free text',
    source VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Origin: api, import, or a value that the client chose',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) NOT NULL COMMENT 'Creator, in the form of audit_log.actor',
    PRIMARY KEY (phone)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per number that has opted out'
