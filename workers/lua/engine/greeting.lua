-- The 128 bytes a client reads first: product, version, instance, salt.
--
-- intake writes one for every new session, with the salt from its slot. Two lines of 64 bytes,
-- padded with spaces; the salt is base64 of 32 bytes of which clients use the first 20.

local bit = require('bit')
local ffi = require('ffi')
local const = require('beespace.engine.const')

local band, lshift, rshift, bor = bit.band, bit.lshift, bit.rshift, bit.bor
local copy = ffi.copy
local SALT_BYTES, RAW_BYTES, SALT_AT = 20, 32, 64
local LINE = 64
local PADDING = 61

local alphabet = ffi.new('uint8_t[65]',
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
local raw = ffi.new('uint8_t[33]')
local bytes = ffi.new('uint8_t[129]')

local greeting = {bytes = bytes, SIZE = const.GREETING_SIZE}

-- Set the part that is the same for every session; `instance` is a uuid as text.
function greeting.prepare(instance)
  local line = ('Tarantool %s (Binary) %s'):format(const.GREETING_VERSION, instance)
  assert(#line < LINE, 'the greeting does not fit its line')
  copy(bytes, line .. (' '):rep(LINE - 1 - #line) .. '\n')
  copy(bytes + SALT_AT, (' '):rep(LINE - 1) .. '\n')
end

-- Three bytes of the salt as four letters.
local function group(from, to)
  local word = bor(lshift(raw[from], 16), lshift(raw[from + 1], 8), raw[from + 2])
  bytes[to] = alphabet[rshift(word, 18)]
  bytes[to + 1] = alphabet[band(rshift(word, 12), 63)]
  bytes[to + 2] = alphabet[band(rshift(word, 6), 63)]
  bytes[to + 3] = alphabet[band(word, 63)]
end

-- Put the salt of a session (20 bytes at `salt`) into the greeting. Without a loop: this is part of
-- the compiled way of a new connection.
function greeting.salt(salt)
  copy(raw, salt, SALT_BYTES)
  copy(raw + SALT_BYTES, salt, RAW_BYTES - SALT_BYTES)
  group(0, SALT_AT)
  group(3, SALT_AT + 4)
  group(6, SALT_AT + 8)
  group(9, SALT_AT + 12)
  group(12, SALT_AT + 16)
  group(15, SALT_AT + 20)
  group(18, SALT_AT + 24)
  group(21, SALT_AT + 28)
  group(24, SALT_AT + 32)
  group(27, SALT_AT + 36)
  group(30, SALT_AT + 40)
  bytes[SALT_AT + 43] = PADDING
end

return greeting
