-- Canned packets through the real loop before the first client.
--
-- Called by main once the application is loaded. A loop whose first traffic is odd (errors,
-- waiting) may be blacklisted by LuaJIT for ever; one that compiled once never is. The packets
-- belong to no session, so their answers go nowhere and nothing is counted.

local ffi = require('ffi')
local codec = require('beespace.engine.codec')
local const = require('beespace.engine.const')
local loop = require('beespace.engine.loop')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')

local st = state.st
local types, keys = const.type, const.key
local ROUNDS = 60
local COPIES = 12

local warmup = {}

local function byte(number)
  return string.char(number)
end

local function framed(header, body)
  local packet = header .. body
  return '\206' .. '\0\0' .. byte(math.floor(#packet / 256)) .. byte(#packet % 256) .. packet
end

-- Headers as the connectors send them: type first with a short or a 64-bit sync, sync first, and
-- with a schema version.
local function headers(code)
  local kind = byte(code)
  return {
    '\130\0' .. kind .. '\1\5',
    '\130\0' .. kind .. '\1\207\0\0\0\0\0\0\1\0',
    '\130\0' .. kind .. '\1\206\0\0\1\0',
    '\130\1\205\1\0\0' .. kind,
    '\131\0' .. kind .. '\1\0\5\1',
  }
end

local function body(key, text, arguments)
  return '\130' .. byte(key) .. codec.pack(text) .. byte(keys.TUPLE) .. codec.pack(arguments)
end

local function bodies()
  local list = {}
  local function add(code, text, arguments)
    local key = code == types.EVAL and keys.EXPR or keys.FUNCTION_NAME
    list[#list + 1] = {code, body(key, text, arguments)}
  end
  add(types.CALL, 'box.session.exists', {1})
  add(types.CALL, 'box.session.id', {})
  add(types.CALL, 'box.session.peer', {1})
  add(types.EVAL, 'return ...', {1})
  add(types.CALL, 'tostring', {'text'})
  add(types.CALL, 'math.max', {1, 2})
  add(types.CALL, 'math.min', {3, 2, 1})
  add(types.EVAL, 'return 1, 2', {})
  list[#list + 1] = {types.PING, ''}
  return list
end

local function batch()
  local parts = {}
  for _ = 1, COPIES do
    for _, each in ipairs(bodies()) do
      for _, header in ipairs(headers(each[1])) do
        parts[#parts + 1] = framed(header, each[2])
      end
    end
  end
  return table.concat(parts)
end

local function run(bytes)
  ffi.copy(state.input, bytes, #bytes)
  st.i, st.have, st.fd, st.w = 0, #bytes, 0, 0
  st.k, st.n, st.stop = 0, 0, loop.END
  loop.guard()
  st.stop = 0
end

-- Compile the common ways through the loop, and let it answer one error afterwards.
function warmup.run()
  local row = shared.row
  local scratch = ffi.new('bee_row_t')
  shared.row = ffi.cast('bee_row_t *', scratch)
  local bytes = batch()
  for _ = 1, ROUNDS do
    run(bytes)
  end
  run(framed(headers(types.CALL)[1], body(keys.FUNCTION_NAME, 'error', {'warm-up'})))
  shared.row = row
end

return warmup
