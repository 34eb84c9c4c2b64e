-- How often the key at an address was changed, modulo 256: peers tell a rotated key from another server's by it.
ALTER TABLE servers ADD COLUMN key_generation INTEGER NOT NULL DEFAULT 0 CHECK (key_generation BETWEEN 0 AND 255);

-- Where the next owner of a freed address begins: 128 ahead of the last one, which was of generation 0 until now.
ALTER TABLE freed_addresses ADD COLUMN key_generation INTEGER NOT NULL DEFAULT 128
    CHECK (key_generation BETWEEN 0 AND 255);

-- The key before the last rotation. Its owner answers it for a while, and peers that have not heard use it: nobody else
-- may have it.
ALTER TABLE servers ADD COLUMN previous_key BLOB CHECK (length(previous_key) = 32);
CREATE INDEX servers_by_previous_key ON servers (previous_key);
