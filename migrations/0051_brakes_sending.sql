INSERT INTO brakes (name) VALUES ('sending')
