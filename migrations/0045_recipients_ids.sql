UPDATE recipients SET id_start = LEFT(message_id, 44), id_rest = NULLIF(SUBSTRING(message_id, 45), '') WHERE message_id IS NOT NULL
