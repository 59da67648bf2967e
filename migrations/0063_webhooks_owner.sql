-- Compatible: webhooks.by_owner: the code before writes neither column, and two NULLs are not equal
ALTER TABLE webhooks
    ADD COLUMN labels VARCHAR(3000) NULL COMMENT 'JSON array: it gets events of schedules with at least one of these labels, each of which has a row in webhook_labels; NULL: of all schedules',
    ADD COLUMN owner VARCHAR(80) NULL COMMENT 'In the form of audit_log.actor: it gets only events of schedules that the owner has created, or, of a callback, of those that name it; NULL: of all schedules',
    ADD COLUMN selected_events VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Subscribed event types of a webhook with labels or an owner. Its column events is empty, so that code that does not know the restriction records nothing for it',
    ADD COLUMN callback_hash BINARY(32) NULL COMMENT 'SHA-256 of the URL of a callback, by which it is found; NULL: not a callback. schedules.callback_id names a callback',
    ADD COLUMN expires_at DATETIME(3) NULL COMMENT 'UTC. When the API key that owns it expires: nothing is recorded or posted from then on; NULL: never',
    ADD UNIQUE KEY by_owner (owner, callback_hash)
