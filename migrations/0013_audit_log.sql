CREATE TABLE audit_log (
    id BINARY(16) NOT NULL COMMENT 'UUIDv7; contains the time of the change',
    actor VARCHAR(80) NOT NULL COMMENT 'user:ID, key:ID or issuer:SUBJECT; nobody for a failed login; operator for a direct invocation of migrate',
    actor_name VARCHAR(128) NOT NULL COMMENT 'Name of the actor at that time',
    address VARCHAR(45) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'IP address of the request',
    request_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Request id, as in the response and the log',
    action VARCHAR(40) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'Name of the action, such as schedule.cancel',
    thing VARCHAR(80) NOT NULL COMMENT 'Resource that was changed: schedule:ID, user:ID, key:ID, …',
    state_before MEDIUMTEXT NULL COMMENT 'JSON: the changed fields before the change',
    state_after MEDIUMTEXT NULL COMMENT 'JSON: the same fields after the change',
    PRIMARY KEY (id),
    KEY by_actor (actor, id),
    KEY by_thing (thing, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per change. The functions may only insert and read rows'
