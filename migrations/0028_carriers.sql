CREATE TABLE carriers (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'The name of the carrier; today there is one, main',
    progress_at DATETIME(3) NULL COMMENT 'UTC. When the carrier last accepted a message, some seconds behind; NULL: never',
    outage_from DATETIME(3) NULL COMMENT 'UTC. Start of the last outage: a minute or more without an acceptance before the next one',
    outage_until DATETIME(3) NULL COMMENT 'UTC. End of the last outage: the acceptance that ended it',
    open_slots INT UNSIGNED NOT NULL DEFAULT 8 COMMENT 'Batches that may be admitted at the same time while no limit is known; grows with each pass without a 429',
    bulk_credit BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Message parts that schedules of priority bulk may send before normal ones do: their share of a tenth',
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per carrier: when it last accepted a message, and what may be admitted'
