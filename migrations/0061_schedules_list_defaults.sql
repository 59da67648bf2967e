ALTER TABLE schedules
    MODIFY COLUMN list_defaults VARCHAR(4096) NULL COMMENT 'JSON {default_country, column, reference_column, group_column, on_invalid, on_duplicate, types}: how appended lists are read, unless a call says otherwise'
