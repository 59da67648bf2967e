-- Functions of the release before do not know this table: a schedule that they cut has no
-- prices_version, and recipients that they append are not in what is planned.
CREATE TABLE schedule_costs (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    planned_parts BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Message parts of its lists, as they were appended',
    planned_micros BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Their cost by the prices of that time, in millionths of the currency unit',
    planned_unpriced INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Recipients whose number has no price; their cost is in no sum',
    prices_version INT UNSIGNED NULL COMMENT 'price_lists.version, current when the schedule was cut. NULL: it is not cut, or there were no prices',
    PRIMARY KEY (schedule_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'What schedules are planned to cost. A row exists if there were prices or budgets'
