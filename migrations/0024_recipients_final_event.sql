ALTER TABLE recipients ADD COLUMN final_event BINARY(16) NULL COMMENT 'webhook_deliveries.event_id of the event that told its end; NULL: not told, or nobody wanted to know'
