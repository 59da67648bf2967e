ALTER TABLE recipients
    ADD COLUMN id_start CHAR(44) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'The first 44 characters of the message id from the carrier',
    ADD COLUMN id_rest VARCHAR(468) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'The other characters of the message id, if it is longer',
    MODIFY COLUMN carrier_status CHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Last status as the carrier reported it',
    ROW_FORMAT = REDUNDANT,
    COMMENT 'One row per recipient: the number and its delivery state. In this row format a NULL of fixed width takes its full width, so that marks, answers and verdicts are written in place and no page is split'
