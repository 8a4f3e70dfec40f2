-- What a packet asks for, in few words: for lines of the log about a request.
--
--   engine/slow, engine/witness --> body() or packet(): a kind and a text, both cheap to keep
--                               --> words(kind, text), when a line is really written
--
-- The packet lies in the receive buffer and was checked when it was executed. shm/packets.py says
-- the same of a request that is running. A text that is shown whole is kept as it is, and looked at
-- for passwords when the line is written (workers/bridge.py); one that is cut is looked at here.

local bit = require('bit')
local ffi = require('ffi')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local iproto_const = require('beespace.box.iproto_const')
local state = require('beespace.engine.state')

local min, pairs, to_string = math.min, pairs, ffi.string
local be16, ube32, skip = decode.be16, decode.ube32, decode.skip
local band, bor, cast, rshift = bit.band, bit.bor, ffi.cast, bit.rshift
local i32p = ffi.typeof('int32_t *')
local p = state.input
local NAME, SOURCE = const.key.FUNCTION_NAME, const.key.EXPR
-- Bytes of a name or source that are shown; one more tells that there are more.
local LONGEST = 80
-- Words by which a source shows that it speaks of a password, as in shm/packets.py.
local PASSWORD, SECRET = {('passw'):byte(1, -1)}, {('secret'):byte(1, -1)}
-- Makes a capital a small letter.
local SMALL = 0x20
-- Kinds below are types of requests.
local CALL, EVAL, OTHER = 1000, 1001, 1002
-- A body of two entries whose first key is the name or the source: 82 and that key.
local NAME_BODY, SOURCE_BODY = 0x82 + 0x100 * NAME, 0x82 + 0x100 * SOURCE

local asked = {}

-- Names of request types by number.
local NAMES = {}
for name, number in pairs(iproto_const.type) do
  NAMES[number] = name:lower()
end

-- Whether p[at .. e) goes on with these small letters, be they written large.
local function begins_with(at, e, letters)
  if at + #letters > e then
    return false
  end
  for place = 1, #letters do
    if bor(p[at + place - 1], SMALL) ~= letters[place] then
      return false
    end
  end
  return true
end

local function speaks_of_password(at, e)
  for place = at, e - 1 do
    if begins_with(place, e, PASSWORD) or begins_with(place, e, SECRET) then
      return true
    end
  end
  return false
end

-- The string at p[at], cut; nil when there is none. Of a source that is cut nothing when any of it
-- speaks of a password.
local function text_at(at, e, is_source)
  local first = p[at]
  local length
  if first >= 0xa0 and first <= 0xbf then
    at, length = at + 1, first - 0xa0
  elseif first == 0xd9 then
    at, length = at + 2, p[at + 1]
  elseif first == 0xda then
    at, length = at + 3, be16(p, at + 1)
  elseif first == 0xdb then
    at, length = at + 5, ube32(p, at + 1)
  else
    return nil
  end
  length = min(length, e - at)
  if is_source and length > LONGEST and speaks_of_password(at, at + length) then
    return state.HIDDEN
  end
  return to_string(p + at, min(length, LONGEST + 1))
end

-- Entries of the short map at p[at], 0 for anything else.
local function entries(at, e)
  local first = at < e and p[at] or 0
  return first >= 0x80 and first <= 0x8f and first - 0x80 or 0
end

-- The same of a body p[at..e) in any form; `kind` when it names nothing.
local function search(at, e, kind)
  local count = entries(at, e)
  at = at + 1
  for _ = 1, count do
    local key = p[at]
    if key == NAME or key == SOURCE then
      return key == NAME and CALL or EVAL, text_at(at + 1, e, key == SOURCE)
    end
    at = skip(p, skip(p, at, e), e)
  end
  return kind, nil
end

-- What the body p[at..e) asks for: a kind, and the text of a call or source. Written as connectors
-- do it takes no time.
function asked.body(at, e)
  local head = cast(i32p, p + at)[0]
  local key, length = band(head, 0xffff), band(rshift(head, 16), 0xff) - 0xa0
  if length > 0 and length < 32 then
    if key == NAME_BODY then
      return CALL, to_string(p + at + 3, min(length, e - at - 3))
    elseif key == SOURCE_BODY then
      return EVAL, to_string(p + at + 3, min(length, e - at - 3))
    end
  end
  return search(at, e, OTHER)
end

-- The same of a whole packet p[i..e), header and body; other kinds are types of requests.
function asked.packet(i, e)
  local kind, at = 0, i + 1
  for _ = 1, entries(i, e) do
    if p[at] == const.key.REQUEST_TYPE then
      kind = p[at + 1]
    end
    at = skip(p, skip(p, at, e), e)
  end
  return search(at, e, kind)
end

-- The words for a kind and a text.
function asked.words(kind, text)
  if kind == OTHER then
    return 'a request'
  elseif kind < CALL then
    return NAMES[kind] or ('type %d'):format(kind)
  end
  text = text or ''
  local shown = #text > LONGEST and text:sub(1, LONGEST) .. '...' or text
  return (kind == CALL and 'call ' or 'eval ') .. shown
end

return asked
