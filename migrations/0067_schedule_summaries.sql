-- Functions of the release before do not know this table: a schedule that they finish gets no
-- summary.
CREATE TABLE schedule_summaries (
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    finishes INT UNSIGNED NOT NULL COMMENT 'How often the schedule has finished: what was computed for an earlier time is not written',
    requested_at DATETIME(3) NOT NULL COMMENT 'UTC. schedules.finished_at of that time',
    next_batch INT UNSIGNED NOT NULL COMMENT 'batches.batch_no at which the computation goes on',
    histograms TEXT CHARACTER SET ascii NULL COMMENT 'JSON: what the batches before next_batch add up to; NULL: none was read, or it is done',
    done_at DATETIME(3) NULL COMMENT 'UTC. When the values below were written; NULL: they are to be computed',
    due_to_sent_count INT UNSIGNED NULL COMMENT 'Recipients with a planned time whose message the carrier has accepted',
    due_to_sent_p50_ms BIGINT UNSIGNED NULL COMMENT 'From the planned time to the first request, in milliseconds, within 5 percent: the median',
    due_to_sent_p99_ms BIGINT UNSIGNED NULL COMMENT 'The 99th percentile',
    due_to_sent_max_ms BIGINT UNSIGNED NULL COMMENT 'The longest, exactly',
    sent_to_final_count INT UNSIGNED NULL COMMENT 'Recipients whose message the carrier has accepted and reported as final',
    sent_to_final_p50_ms BIGINT UNSIGNED NULL COMMENT 'From the last request to the final state, in milliseconds, within 5 percent: the median',
    sent_to_final_p99_ms BIGINT UNSIGNED NULL COMMENT 'The 99th percentile',
    sent_to_final_max_ms BIGINT UNSIGNED NULL COMMENT 'The longest, exactly',
    PRIMARY KEY (schedule_id),
    KEY to_compute (done_at, requested_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'How long the messages of finished schedules took'
