ALTER TABLE recipients
    ADD COLUMN message_id VARCHAR(512) CHARACTER SET ascii COLLATE ascii_general_ci AS (CONCAT(id_start, COALESCE(id_rest, ''))) VIRTUAL COMMENT 'Message id from the carrier; a text of several parts has several ids, separated by commas',
    ADD CONSTRAINT recipient_accepted CHECK (id_start IS NOT NULL OR status NOT IN ('ACCEPTD', 'ENROUTE', 'DELIVRD'))
