CREATE TABLE prices (
    version INT UNSIGNED NOT NULL COMMENT 'price_lists.version',
    prefix VARCHAR(15) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'The first digits of a number, without the plus sign. The longest one applies',
    micros BIGINT UNSIGNED NOT NULL COMMENT 'The price of a message part, in millionths of the currency unit',
    name VARCHAR(64) NULL COMMENT 'The country or the network, as imported',
    PRIMARY KEY (version, prefix)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'Prices by prefix. Only inserted'
