CREATE TABLE login_guards (
    subject BINARY(32) NOT NULL COMMENT 'SHA-256 of a user name, existing or not, or of an address',
    failures INT UNSIGNED NOT NULL COMMENT 'Failed logins in a row; an attempt counts before its password is looked at',
    last_at DATETIME(3) NOT NULL COMMENT 'UTC. The last of them',
    locked_until DATETIME(3) NOT NULL COMMENT 'UTC. No password is looked at before it',
    PRIMARY KEY (subject)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Failed logins'
