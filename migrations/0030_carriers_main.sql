INSERT INTO carriers (name) VALUES ('main')
