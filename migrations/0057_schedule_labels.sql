CREATE TABLE schedule_labels (
    label VARCHAR(64) NOT NULL COMMENT 'A label that people and systems find schedules by',
    schedule_id BINARY(16) NOT NULL COMMENT 'schedules.id',
    PRIMARY KEY (label, schedule_id),
    KEY by_schedule (schedule_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'The labels of schedules'
