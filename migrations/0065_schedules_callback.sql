ALTER TABLE schedules
    ADD COLUMN callback_id BINARY(16) NULL COMMENT 'webhooks.id of the callback that gets the events of this schedule too; NULL: none'
