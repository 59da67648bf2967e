CREATE TABLE schedule_canaries (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    recipients INT UNSIGNED NOT NULL COMMENT 'How many recipients of the list are sent to first',
    delivered_share DECIMAL(4,3) NOT NULL COMMENT 'The share of them that has to become DELIVRD, more than 0, at most 1',
    within_s INT UNSIGNED NOT NULL COMMENT 'Seconds after the last of them was sent, in which that has to happen',
    last_seq INT UNSIGNED NULL COMMENT 'recipients.seq of the last of them; NULL: not cut, or the list is not longer than the canary',
    sent_at DATETIME(3) NULL COMMENT 'UTC. When each of them had been sent; NULL: not yet',
    outcome VARCHAR(8) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'passed; failed: the schedule is paused; released: resumed after that; ended: the end of the schedule came first; NULL: not decided',
    decided_at DATETIME(3) NULL COMMENT 'UTC. Time of the decision',
    delivered INT UNSIGNED NULL COMMENT 'How many were DELIVRD at the decision',
    failed INT UNSIGNED NULL COMMENT 'How many had ended otherwise at the decision',
    undecided INT UNSIGNED NULL COMMENT 'How many had no final state at the decision',
    PRIMARY KEY (schedule_id),
    CONSTRAINT canary_outcome CHECK (outcome IN ('passed', 'failed', 'released', 'ended')),
    CONSTRAINT canary_decided CHECK ((outcome IS NULL) = (decided_at IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per schedule with a canary: who is sent to first, and what has to become of them'
