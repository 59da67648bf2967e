-- As in audit_log: the resource that the request changed.
ALTER TABLE idempotency_keys
    RENAME COLUMN thing TO resource
