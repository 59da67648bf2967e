ALTER TABLE api_keys
    ADD COLUMN allowed_addresses VARCHAR(1500) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Networks from which the key may be used, as ADDRESS/BITS, separated by spaces; NULL: any address',
    ADD COLUMN user_id BINARY(16) NULL COMMENT 'users.id of the person whose key it is: it has at most the permissions of the role, and ends with the account; NULL: the key of a program',
    ADD KEY of_user (user_id)
