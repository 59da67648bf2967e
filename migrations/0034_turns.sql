CREATE TABLE turns (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    carrier VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT 'main' COMMENT 'carriers.name',
    virtual_parts BIGINT UNSIGNED NOT NULL COMMENT 'Virtual time of start-time fair queueing: message parts admitted so far, from the virtual time at the start; the least is next',
    ready_at DATETIME(3) NOT NULL COMMENT 'UTC. When the next batch may be admitted',
    next_send_at DATETIME(3) NOT NULL COMMENT 'UTC. For a schedule with a rate: the send time of the next admitted batch',
    PRIMARY KEY (schedule_id),
    KEY ready (ready_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per schedule with batches that wait for their turn'
