-- The API, the code and the documents say "resource"; so does the column.
ALTER TABLE audit_log
    RENAME COLUMN thing TO resource,
    RENAME KEY by_thing TO by_resource
