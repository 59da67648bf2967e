CREATE TABLE suppressions (
    phone VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'E.164 with the plus sign: nobody sends to it',
    reason VARCHAR(255) NULL COMMENT 'Why, for people',
    source VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Where it comes from: api, import, or a word of the client',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) NOT NULL COMMENT 'Who, as audit_log.actor',
    PRIMARY KEY (phone)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Who has opted out'
