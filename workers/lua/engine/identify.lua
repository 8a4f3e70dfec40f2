-- ID: the client says which protocol version and features it knows, and learns ours.
--
-- Called by engine/handlers.lua. What a client understands is kept in its session and changes only
-- how we answer that client: with the error extension, error objects in DATA keep their type.

local const = require('beespace.engine.const')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local packet = require('beespace.engine.packet')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')

local keys = const.key

local identify = {}

local function bad_body()
  error(errors.client('INVALID_MSGPACK', 'request body'))
end

local function remember(features)
  local session = sessions.all[state.cur.fd]
  session.error_ext = 0
  for index = 1, #features do
    if features[index] == const.FEATURE_ERROR_EXTENSION then
      session.error_ext = 1
    end
  end
  encode.settings.error_ext = session.error_ext
end

-- Read the body p[at..e) and encode the answer's body at o+w; its end.
function identify.answer(p, at, e, o, w)
  local ok, fields = pcall(packet.fields, p, at, e, false)
  if not ok then
    bad_body()
  end
  local features = fields[keys.FEATURES]
  if features ~= nil then
    for index = 1, #features do
      if type(features[index]) ~= 'number' or features[index] < 0 then
        bad_body()
      end
    end
    remember(features)
  end
  w = encode.map_header(o, w, 3)
  w = encode.encode(o, encode.uint(o, w, keys.VERSION), const.PROTOCOL_VERSION, 1)
  w = encode.encode(o, encode.uint(o, w, keys.FEATURES), const.FEATURES, 1)
  return encode.encode(o, encode.uint(o, w, keys.AUTH_TYPE), const.AUTH_METHOD, 1)
end

return identify
