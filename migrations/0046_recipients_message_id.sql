ALTER TABLE recipients
    DROP CONSTRAINT recipient_accepted,
    DROP COLUMN message_id
