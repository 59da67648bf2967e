ALTER TABLE carrier_limits
    ADD COLUMN slot_units INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Units that the last granted slot holds',
    ADD COLUMN slot_units_used INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Of these, units that requests were granted',
    ADD COLUMN shared_units INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Units of the last grant, if it shares the slot of another one; 0: it began a slot'
