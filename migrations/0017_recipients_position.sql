ALTER TABLE recipients
    ADD COLUMN position INT UNSIGNED NULL COMMENT 'Only for INVALID: line (CSV, NDJSON) or index from 0 (JSON) of the entry in the request that added it'
