ALTER TABLE schedules ADD KEY by_time (run_at, id)
