CREATE TABLE senders (
    sender VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'What messages may be sent from: up to 11 letters and digits, or a number',
    note VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'What it is for, or who may use it, for people',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Actor, as in audit_log.actor',
    PRIMARY KEY (sender)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Senders that callers without the permission senders:any may choose'
