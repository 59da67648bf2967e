CREATE TABLE price_lists (
    version INT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'The highest one is current. A list never changes',
    id BINARY(16) NOT NULL COMMENT 'UUID, by which processes keep the list in memory',
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'ISO 4217',
    price_count INT UNSIGNED NOT NULL COMMENT 'Rows in prices; 0: from this version on nothing has a price',
    created_at DATETIME(3) NOT NULL COMMENT 'UTC',
    created_by VARCHAR(80) NOT NULL COMMENT 'Who imported it, as in audit_log.actor',
    PRIMARY KEY (version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Imported lists of prices. Only inserted'
