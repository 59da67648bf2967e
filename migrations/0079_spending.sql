CREATE TABLE spending (
    budget_id BINARY(16) NOT NULL COMMENT 'budgets.id',
    period_start DATE NOT NULL COMMENT 'The first day of the period, UTC',
    used BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Parts or millionths that were sent, and what running passes have reserved. A crash leaves a reservation counted',
    warned_at DATETIME(3) NULL COMMENT 'UTC. When 80 percent were used first',
    reached_at DATETIME(3) NULL COMMENT 'UTC. When a message did not fit first',
    PRIMARY KEY (budget_id, period_start)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'What budgets have been used for: one row per budget and period'
