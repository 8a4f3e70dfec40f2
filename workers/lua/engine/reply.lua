-- Answers: the 28-byte head from a template, then the body.
--
--   ce LL LL LL LL  83  00 ce TT TT TT TT  01 cf SS*8  05 ce VV VV VV VV   BODY
--
-- The loop and the request handlers write an answer at output+w: begin() puts the head and returns
-- where the body starts, the body is encoded there, finish() fills in the length. Nothing is
-- counted as written until the loop stores the new end, so an error in between leaves no trace.

local bit = require('bit')
local ffi = require('ffi')
local const = require('beespace.engine.const')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')

local bswap, bor, lshift = bit.bswap, bit.bor, bit.lshift
local cast, select = ffi.cast, select
local u32p, u64p = ffi.typeof('uint32_t *'), ffi.typeof('uint64_t *')
local encode_value = encode.encode

local HEAD = 28
local DATA = const.key.DATA

-- The head as little-endian words, which overlap where the sync goes, and as one word the head of a
-- body that is {DATA: array of 32-bit length}, with the first byte of that length.
local template = ffi.new('uint8_t[32]', {
  0xce, 0, 0, 0, 0, 0x83, 0, 0xce, 0, 0, 0, 0,
  1, 0xcf, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0xce, 0, 0, 0, const.SCHEMA_VERSION,
})
local LAST, SYNC = 20, 14
local word_0, word_1 = cast(u64p, template)[0], cast(u64p, template)[1]
local word_last = cast(u64p, template + LAST)[0]
local DATA_HEAD = bor(0x81, lshift(DATA, 8), lshift(0xdd, 16))

local reply = {HEAD = HEAD}

-- Put the head of an OK answer at o+w; `sync` is big-endian. Returns where the body starts.
local function begin(o, w, sync)
  local to = cast(u64p, o + w)
  to[0] = word_0
  to[1] = word_1
  cast(u64p, o + w + LAST)[0] = word_last
  cast(u64p, o + w + SYNC)[0] = sync
  return w + HEAD
end
reply.begin = begin

-- Fill in the length of the answer that began at `start` and ends at `w`; returns `w`.
function reply.finish(o, start, w)
  cast(u32p, o + start + 1)[0] = bswap(w - start - 5)
  return w
end

-- DATA is always a 32-bit array.
local function data_head(o, w, n)
  cast(u32p, o + w)[0] = DATA_HEAD
  cast(u32p, o + w + 3)[0] = bswap(n)
  return w + 7
end
reply.data_head = data_head

local function many(o, w, n, ...)
  for index = 1, n do
    w = encode_value(o, w, (select(index, ...)), 0)
  end
  return w
end

-- Encode returned values as DATA at o+w.
function reply.results(o, w, n, ...)
  w = data_head(o, w, n)
  if n == 1 then
    return encode_value(o, w, (...), 0)
  elseif n == 0 then
    return w
  elseif n == 2 then
    local first, second = ...
    return encode_value(o, encode_value(o, w, first, 0), second, 0)
  end
  return many(o, w, n, ...)
end

-- An error answer at o+start for anything that was raised; returns its end.
function reply.fail(o, start, sync, raised)
  local object = errors.from(raised)
  local w = begin(o, start, sync)
  cast(u32p, o + start + 8)[0] = bswap(bor(const.TYPE_ERROR, object.code))
  return reply.finish(o, start, errors.write(o, w, object))
end

return reply
