ALTER TABLE recipients ADD COLUMN final_event BINARY(16) NULL COMMENT 'webhook_deliveries.event_id of the event that published its final state; NULL: not published, or no webhook subscribes to it'
