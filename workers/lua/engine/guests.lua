-- What a client may ask before it has logged in, where guests may do nothing (the setting
-- security.disable_guest): AUTH, PING, ID, VOTE, and to watch 'internal.ballot'. Everything else is
-- answered with 258, and the connection stays open.
--
-- engine/handlers and engine/override ask for every packet that they get. What does not pass them,
-- CALL and EVAL on the shortest way, is refused by engine/access, since guest has no rights then.

local access = require('beespace.engine.access')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local packet = require('beespace.engine.packet')
local state = require('beespace.engine.state')

local error = error
local p, st, cur = state.input, state.st, state.cur
local GUEST = state.GUEST
local types = const.type
local EVENT_KEY, BALLOT = const.key.EVENT_KEY, 'internal.ballot'

local guests = {}

local allowed = {[types.AUTH] = true, [types.PING] = true, [types.ID] = true, [types.VOTE] = true}

-- Whether a WATCH is for the ballot, or for nothing, which is then said.
local function asks_for_ballot(at)
  if at >= st.i or decode.skip(p, at, st.i) ~= st.i then
    error(decode.BAD)
  end
  local key = packet.fields(p, at, st.i, false)[EVENT_KEY]
  return key == nil or key == BALLOT
end

-- Raise unless the client may send a packet of this type, whose body begins at `at`.
function guests.check(code, at)
  if not access.guest_disabled or cur.uid ~= GUEST or st.rehearsal ~= 0 or allowed[code]
     or code == types.WATCH and asks_for_ballot(at) then
    return
  end
  error(errors.client('AUTH_REQUIRED'))
end

return guests
