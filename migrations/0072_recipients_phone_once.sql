-- One statement, so that a number is unique at all times.
ALTER TABLE recipients
    DROP KEY phone_once,
    ADD UNIQUE KEY phone_once (phone, schedule_id, copy)
