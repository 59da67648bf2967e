ALTER TABLE schedules
    ADD COLUMN unique_by VARCHAR(9) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT 'phone' COMMENT 'phone: no two recipients have the same number; reference: none the same reference'
