UPDATE carriers SET open_slots = 4 WHERE open_slots = 8
