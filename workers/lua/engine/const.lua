-- The numbers of the binary protocol, once: request types, keys with their value types.
--
-- Read by everything that decodes or answers a packet. A key that is listed must carry a value of
-- its type wherever it appears; a key that is not listed is skipped.

local const = {
  GREETING_VERSION = '2.11.0',
  GREETING_SIZE = 128,
  -- Sent with every answer; connectors fetch the schema again when it moves, and ours never does.
  SCHEMA_VERSION = 1,
  -- What ID answers: protocol version, and feature ids.
  PROTOCOL_VERSION = 6,
  FEATURES = {0, 2, 3, 6},
  FEATURE_ERROR_EXTENSION = 2,
  AUTH_METHOD = 'chap-sha1',
  TYPE_ERROR = 0x8000,
}

const.type = {
  SELECT = 1,
  INSERT = 2,
  REPLACE = 3,
  UPDATE = 4,
  DELETE = 5,
  CALL_16 = 6,
  AUTH = 7,
  EVAL = 8,
  UPSERT = 9,
  CALL = 10,
  EXECUTE = 11,
  NOP = 12,
  PREPARE = 13,
  BEGIN = 14,
  COMMIT = 15,
  ROLLBACK = 16,
  PING = 64,
  VOTE = 68,
  ID = 73,
  WATCH = 74,
  UNWATCH = 75,
  EVENT = 76,
  WATCH_ONCE = 77,
  CHUNK = 128,
}

const.key = {
  REQUEST_TYPE = 0x00,
  SYNC = 0x01,
  SCHEMA_VERSION = 0x05,
  STREAM_ID = 0x0a,
  SPACE_ID = 0x10,
  INDEX_ID = 0x11,
  LIMIT = 0x12,
  OFFSET = 0x13,
  ITERATOR = 0x14,
  INDEX_BASE = 0x15,
  KEY = 0x20,
  TUPLE = 0x21,
  FUNCTION_NAME = 0x22,
  USER_NAME = 0x23,
  EXPR = 0x27,
  OPS = 0x28,
  DATA = 0x30,
  ERROR_24 = 0x31,
  ERROR = 0x52,
  VERSION = 0x54,
  FEATURES = 0x55,
  EVENT_KEY = 0x57,
  EVENT_DATA = 0x58,
  AUTH_TYPE = 0x5b,
}

-- Value type of every key: uint, double, str, array, map, bool, or any.
const.value_type = {
  [0x00] = 'uint', [0x01] = 'uint', [0x02] = 'uint', [0x03] = 'uint',
  [0x04] = 'double', [0x05] = 'uint', [0x06] = 'uint', [0x07] = 'uint',
  [0x08] = 'uint', [0x09] = 'uint', [0x0a] = 'uint', [0x0b] = 'uint',
  [0x10] = 'uint', [0x11] = 'uint', [0x12] = 'uint', [0x13] = 'uint',
  [0x14] = 'uint', [0x15] = 'uint', [0x1f] = 'bool',
  [0x20] = 'array', [0x21] = 'array', [0x22] = 'str', [0x23] = 'str',
  [0x24] = 'str', [0x25] = 'str', [0x26] = 'map', [0x27] = 'str',
  [0x28] = 'array', [0x29] = 'map', [0x2a] = 'map', [0x2b] = 'map',
  [0x2c] = 'array', [0x2d] = 'array', [0x2e] = 'str', [0x2f] = 'array',
  [0x30] = 'array', [0x31] = 'str', [0x32] = 'array', [0x33] = 'array',
  [0x34] = 'uint', [0x35] = 'str', [0x36] = 'str',
  [0x40] = 'str', [0x41] = 'array', [0x42] = 'map', [0x43] = 'uint',
  [0x50] = 'bool', [0x51] = 'array', [0x52] = 'map', [0x53] = 'uint',
  [0x54] = 'uint', [0x55] = 'array', [0x56] = 'double', [0x57] = 'str',
  [0x58] = 'any', [0x59] = 'uint', [0x5a] = 'uint', [0x5b] = 'str',
  [0x5c] = 'str', [0x5d] = 'str', [0x5e] = 'str', [0x5f] = 'str',
  [0x60] = 'map', [0x61] = 'bool', [0x62] = 'bool', [0x63] = 'map',
  [0x64] = 'uint',
}

-- Keys up to this one that are not listed above carry nil when they stand in a packet header.
const.LAST_KEY = 0x64

-- The types whose packets are only data changes, refused on the read-only views.
const.changes = {[2] = true, [3] = true, [4] = true, [5] = true, [9] = true}

-- The types that need a stream, with their names.
const.transaction_types = {[14] = 'BEGIN', [15] = 'COMMIT', [16] = 'ROLLBACK'}

-- The types that may not be sent in a stream, with their names.
const.out_of_stream = {
  [7] = 'AUTH', [68] = 'VOTE', [73] = 'ID',
  [74] = 'WATCH', [75] = 'UNWATCH', [77] = 'WATCH_ONCE',
}

-- The kind of a MessagePack value by its first byte.
function const.kind(byte)
  if byte < 0x80 or (byte >= 0xcc and byte <= 0xcf) then
    return 'uint'
  elseif byte < 0x90 or byte == 0xde or byte == 0xdf then
    return 'map'
  elseif byte < 0xa0 or byte == 0xdc or byte == 0xdd then
    return 'array'
  elseif byte < 0xc0 or (byte >= 0xd9 and byte <= 0xdb) then
    return 'str'
  elseif byte == 0xc2 or byte == 0xc3 then
    return 'bool'
  elseif byte == 0xcb then
    return 'double'
  elseif byte == 0xc0 then
    return 'nil'
  end
  return 'other'
end

return const
