ALTER TABLE recipients
    ADD COLUMN position INT UNSIGNED NULL COMMENT 'Of an INVALID entry: its line (CSV, NDJSON) or index from 0 (JSON) in the call that brought it'
