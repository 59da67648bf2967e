CREATE TABLE schedule_approvals (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    reason VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Why it needs an approval: recipients (more than ApprovalAbove), caller (ApprovalRoles)',
    asked_by VARCHAR(80) NOT NULL COMMENT 'Who has asked for the approval last, in the form of audit_log.actor',
    asked_at DATETIME(3) NOT NULL COMMENT 'UTC. Since when it needs the approval, or waits for it',
    list_version INT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'Incremented by each change of the list; a hash that was computed of an older list is not stored',
    list_hash BINARY(32) NULL COMMENT 'SHA-256 over the list up to hashed_seq, page by page; NULL: none of it',
    hashed_seq INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Last recipients.seq in list_hash',
    is_hashed TINYINT(1) NOT NULL DEFAULT 0 COMMENT '1: list_hash is that of the whole list',
    approved_hash BINARY(32) NULL COMMENT 'SHA-256 of the text, the times and the list that was approved; NULL: not approved yet. Another content is not approved',
    approved_by VARCHAR(80) NULL COMMENT 'Who has approved it, in the form of audit_log.actor',
    approved_at DATETIME(3) NULL COMMENT 'UTC. Time of the approval',
    PRIMARY KEY (schedule_id),
    CONSTRAINT approval_by_somebody CHECK ((approved_hash IS NULL) = (approved_by IS NULL) AND (approved_hash IS NULL) = (approved_at IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per schedule that needs the approval of a second person'
