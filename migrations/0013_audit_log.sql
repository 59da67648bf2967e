CREATE TABLE audit_log (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7 of the time of the change',
    actor VARCHAR(80) NOT NULL COMMENT 'user:ID, key:ID, issuer:SUBJECT; nobody where a login failed; operator for a direct call of migrate',
    actor_name VARCHAR(128) NOT NULL COMMENT 'Its name then',
    address VARCHAR(45) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Where the request came from',
    request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'As in the answer and the log',
    action VARCHAR(40) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'What was done, such as schedule.cancel',
    thing VARCHAR(80) NOT NULL COMMENT 'To what: schedule:ID, user:ID, key:ID, …',
    state_before MEDIUMTEXT NULL COMMENT 'JSON: what of it changed, as it was',
    state_after MEDIUMTEXT NULL COMMENT 'JSON: the same, as it is now',
    PRIMARY KEY (id),
    KEY by_actor (actor, id),
    KEY by_thing (thing, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Who changed what. The functions may only add and read'
