ALTER TABLE recipients
    DROP CONSTRAINT recipient_attempted,
    ADD CONSTRAINT recipient_unattempted CHECK (attempt > 0 OR status IN ('PENDING', 'EXPIRED', 'CANCELLED', 'SUPPRESSED', 'INVALID'))
