-- The permissions trouble:read and trouble:write are named attention:read and attention:write.
UPDATE api_keys
SET permissions = REPLACE(permissions, 'trouble:', 'attention:')
