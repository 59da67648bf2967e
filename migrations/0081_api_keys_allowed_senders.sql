ALTER TABLE api_keys
    ADD COLUMN allowed_senders VARCHAR(600) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'The only senders that the key may choose, separated by commas; NULL: those of the table senders'
