-- The values of the keys that the server itself keeps: what box.watch('box.status', ...) tells.
--
-- Filled in by box/init at start, and kept by engine/watch in every worker: all have the same ones,
-- and none of them changes while the server runs. box.shutdown has no value until the server is
-- asked to stop; then it is true, and the end is held up while sessions watch it. The ballot is
-- also what VOTE answers.
--
-- box.session.inbox has a value for each session: how many messages wait for it.

local codec = require('beespace.engine.codec')
local const = require('beespace.engine.const')
local decode = require('beespace.engine.decode')
local inbox = require('beespace.engine.inbox')
local iproto_const = require('beespace.box.iproto_const')
local stopping = require('beespace.engine.stopping')
local uuid = require('uuid')
local watch = require('beespace.engine.watch')

local setmetatable = setmetatable
local NULL, map_mt = decode.NULL, decode.map_mt
local keys, ballot_keys = iproto_const.key, iproto_const.ballot_key
local SHUTDOWN, INBOX = 'box.shutdown', 'box.session.inbox'
local NO_UUID = '00000000-0000-0000-0000-000000000000'

local system_events = {}

local function map(values)
  return setmetatable(values, map_mt)
end

-- There is no storage and no cluster: a server that is alone, empty, and takes every request.
local function ballot(facts)
  return map({[keys.BALLOT] = map({
    [ballot_keys.IS_RO_CFG] = false,
    [ballot_keys.VCLOCK] = map({}),
    [ballot_keys.GC_VCLOCK] = map({}),
    [ballot_keys.IS_RO] = false,
    [ballot_keys.IS_ANON] = false,
    [ballot_keys.IS_BOOTED] = true,
    [ballot_keys.CAN_LEAD] = false,
    [ballot_keys.BOOTSTRAP_LEADER_UUID] = NO_UUID,
    [ballot_keys.REGISTERED_REPLICA_UUIDS] = {facts.uuid},
    [ballot_keys.INSTANCE_NAME] = facts.name,
  })})
end

local function values(facts)
  local instance = uuid.fromstr(facts.uuid)
  return {
    ['box.id'] = {
      id = 1,
      instance_uuid = instance,
      instance_name = facts.name,
      replicaset_uuid = instance,
      replicaset_name = NULL,
      cluster_name = NULL,
    },
    ['box.status'] = {
      is_ro = false,
      is_ro_cfg = false,
      status = 'running',
      dd_version = const.GREETING_VERSION,
    },
    ['box.election'] = {term = 1, role = 'follower', is_ro = false, leader = 0},
    ['box.schema'] = {version = const.SCHEMA_VERSION},
    ['box.wal_error'] = map({}),
    ['internal.ballot'] = ballot(facts),
  }
end

-- Make the values; `facts` has uuid (text) and name of the server.
function system_events.define(facts)
  for key, value in pairs(values(facts)) do
    watch.keep(key, codec.pack(value))
  end
end

function stopping.announce()
  watch.keep(SHUTDOWN, codec.pack(true))
end

stopping.hold(function()
  return watch.count(SHUTDOWN) > 0
end)

watch.set_local(INBOX, function(_, id)
  return codec.pack(inbox.count(id))
end)

function inbox.changed(id)
  watch.notify_local(id, INBOX)
end

function watch.ended(key)
  if key == SHUTDOWN then
    stopping.look()
  end
end

return system_events
