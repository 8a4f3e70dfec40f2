-- What clients do wrong, in the log: some lines a second, and how many more there were.
--
-- Whoever answers a packet that could not be read calls about(), engine/auth calls login() for a
-- login that failed, engine/visits refusal() for a client that on_connect refused, who closes a
-- session at a limit or for its login closing(), and the loop deaf(); engine/chores calls tick()
-- once a second. Each kind has its own lines, so nobody fills the log, and nobody hides one kind
-- behind the other.

local bridge = require('beespace.bridge')
local state = require('beespace.engine.state')

local cur = state.cur
-- Lines of a kind in a second, and bytes of a name that one shows.
local MOST, SHOWN = 10, 64

local complaints = {}

local packets = {level = 'error', more = '%d more packets could not be read', said = 0, unsaid = 0}
local logins = {level = 'warn', more = '%d more logins failed', said = 0, unsaid = 0}
local refusals = {
  level = 'warn', more = '%d more connections were refused by on_connect', said = 0, unsaid = 0,
}
local closings = {
  level = 'info', more = '%d more connections were closed at a limit or for their login', said = 0,
  unsaid = 0,
}
local deafness = {
  level = 'warn', more = '%d more connections were closed at session.output_limit', said = 0,
  unsaid = 0,
}

local function say(kind, text, id)
  if kind.said < MOST then
    kind.said = kind.said + 1
    bridge.log(kind.level, text, id or cur.id)
  else
    kind.unsaid = kind.unsaid + 1
  end
end

local function begin_second(kind)
  if kind.unsaid > 0 then
    bridge.log(kind.level, kind.more:format(kind.unsaid))
  end
  kind.said, kind.unsaid = 0, 0
end

-- A packet of the current session could not be read, for this reason.
function complaints.about(reason)
  say(packets, 'Invalid MsgPack - ' .. reason)
end

-- A login of the current session, whose address is `peer`, came to what `outcome` says.
function complaints.login(name, peer, outcome)
  local shown = name:sub(1, SHOWN):gsub('[%c\127-\255]', '?')
  if #name > SHOWN then
    shown = shown .. '...'
  end
  say(logins, ("login of user '%s' from %s %s"):format(shown, peer, outcome))
end

-- on_connect has refused the client of the current session, whose address is `peer`.
function complaints.refusal(peer, reason)
  say(refusals, ('on_connect refused %s: %s'):format(peer, reason))
end

-- The session `id`, whose address is `peer`, is closed for this reason.
function complaints.closing(id, peer, reason)
  say(closings, ('closing connection %s: %s'):format(peer, reason), id)
end

-- The session `id` is closed because its client does not read.
function complaints.deaf(id, text)
  say(deafness, text, id)
end

-- Another second begins.
function complaints.tick()
  begin_second(packets)
  begin_second(logins)
  begin_second(refusals)
  begin_second(closings)
  begin_second(deafness)
end

return complaints
