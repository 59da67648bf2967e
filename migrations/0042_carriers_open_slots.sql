ALTER TABLE carriers
    MODIFY COLUMN open_slots INT UNSIGNED NOT NULL DEFAULT 4 COMMENT 'Batches that may be admitted at the same time while no limit is known; grows with each pass without a 429'
