INSERT INTO carrier_limits (carrier, kind) VALUES ('main', 'submit'), ('main', 'query')
