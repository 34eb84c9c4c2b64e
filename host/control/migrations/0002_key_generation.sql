-- How often the key at an address was changed, modulo 256: peers tell a rotated key from another server's by it.
ALTER TABLE servers ADD COLUMN key_generation INTEGER NOT NULL DEFAULT 0 CHECK (key_generation BETWEEN 0 AND 255);

-- Where the next owner of a freed address begins: 128 ahead of the last one, which was of generation 0 until now.
ALTER TABLE freed_addresses ADD COLUMN key_generation INTEGER NOT NULL DEFAULT 128
    CHECK (key_generation BETWEEN 0 AND 255);
