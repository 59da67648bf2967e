CREATE TABLE brakes (
    name VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'sending',
    set_at DATETIME(3) NULL COMMENT 'UTC. While it is set, no batch of a running schedule is claimed to be sent. NULL: not set',
    set_by VARCHAR(80) NOT NULL DEFAULT '' COMMENT 'Who set or released it last, as in audit_log.actor',
    reason VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'Why',
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row. A table of its own, because each claim reads it with a lock, and nothing else writes it'
