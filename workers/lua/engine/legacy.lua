-- CALL_16: every returned value becomes a row.
--
-- Called by engine/handlers.lua. Rows: nothing -> none; several values -> one row each, arrays as
-- they are, everything else wrapped; one array whose first element is an array -> one row per
-- element; any other single value -> one row.

local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local encode = require('beespace.engine.encode')
local packet = require('beespace.engine.packet')
local reply = require('beespace.engine.reply')
local sys = require('beespace.engine.sys')

local kind = const.kind
local error, select = error, select
local C = sys.C

local legacy = {}

-- Encode one value as a row at o+w.
local function row(o, w, value)
  local last = encode.encode(o, w, value, 0)
  if kind(o[w]) == 'array' then
    return last
  end
  C.memmove(o + w + 1, o + w, last - w)
  o[w] = 0x91
  return last + 1
end

-- The encoded array o[..last) of `count` elements from `at`: one row per element, in its place.
local function spread(o, w, at, last, count)
  local to = last
  if last - at + count > encode.limits.cap - last then
    error(encode.FULL, 0)
  end
  for _ = 1, count do
    local next_at = decode.skip(o, at, last)
    if kind(o[at]) ~= 'array' then
      o[to] = 0x91
      to = to + 1
    end
    C.memmove(o + to, o + at, next_at - at)
    to = to + next_at - at
    at = next_at
  end
  local body = reply.data_head(o, w, count)
  C.memmove(o + body, o + last, to - last)
  return body + to - last
end

local function single(o, w, value)
  local start = reply.data_head(o, w, 1)
  local last = row(o, start, value)
  local count, at = packet.array_head(o, start, last)
  if count > 0 and kind(o[at]) == 'array' then
    return spread(o, w, at, last, count)
  end
  return last
end

-- Encode the returned values as DATA at o+w; its end.
function legacy.results(o, w, ...)
  local count = select('#', ...)
  if count == 1 then
    return single(o, w, (...))
  end
  w = reply.data_head(o, w, count)
  for index = 1, count do
    w = row(o, w, (select(index, ...)))
  end
  return w
end

return legacy
