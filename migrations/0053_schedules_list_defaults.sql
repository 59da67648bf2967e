ALTER TABLE schedules
    ADD COLUMN list_defaults VARCHAR(512) NULL COMMENT 'JSON {default_country, column, on_invalid}: how appended lists are read, unless a call says otherwise'
