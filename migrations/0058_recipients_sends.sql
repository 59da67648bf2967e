ALTER TABLE recipients
    ADD COLUMN sends INT UNSIGNED AS (resends + (status IN ('SENDING', 'UNCERTAIN', 'ACCEPTD', 'ENROUTE', 'DELIVRD', 'UNDELIV', 'DELETED', 'UNKNOWN')
        OR (status = 'EXPIRED' AND COALESCE(error, '') <> 'send-until') OR (status = 'REJECTD' AND id_start IS NOT NULL AND id_start <> '')))
        VIRTUAL COMMENT 'How many of the requests the carrier has accepted, or may have'
