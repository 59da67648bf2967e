ALTER TABLE sessions ADD KEY by_end (expires_at)
