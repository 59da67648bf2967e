CREATE TABLE login_guards (
    subject BINARY(32) NOT NULL COMMENT 'SHA-256 of a username, whether or not it exists, or of an IP address',
    failures INT UNSIGNED NOT NULL COMMENT 'Consecutive failed logins; an attempt counts before its password is verified',
    last_at DATETIME(3) NOT NULL COMMENT 'UTC. Time of the last failed login',
    locked_until DATETIME(3) NOT NULL COMMENT 'UTC. No password is verified before this time',
    PRIMARY KEY (subject)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'One row per username or IP address with failed logins'
