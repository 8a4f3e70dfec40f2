-- box.cfg: the settings the server has, as far as applications ask for it.
--
--   box.cfg.listen          address of the binary protocol; a list of them where there are several
--   box.cfg.net_msg_max     requests of a worker that may wait
--   box.cfg.name, workers   name of the server, number of its workers
--   box.cfg.log_level, log_format, too_long_threshold   of the log
--   box.cfg{}               nothing: the server is configured when its application runs
--   box.cfg{log_level =, too_long_threshold =}   the level of the log, and from when on requests
--                           are slow (log.slow_request), in all processes of the server
--
-- box/init puts it into `box`. Settings are those of the command line, the environment and the
-- file; an application cannot change the others, and is told where they are.

local bridge = require('beespace.bridge')
local errors = require('beespace.box.error')
local ffi = require('ffi')
local levels = require('beespace.engine.levels')
local shared = require('beespace.engine.table')

local error, ipairs, pairs, rawget, rawset = error, ipairs, pairs, rawget, rawset
local setmetatable, tonumber, tostring, type = setmetatable, tonumber, tostring, type

-- Room for the address of a listener: shm.layout.LISTENER_BYTES.
local LISTENER_BYTES = 96

-- Seconds that may be a too_long_threshold: server.values.
local SHORTEST, LONGEST = 0.01, 86400

-- What an application for Tarantool may set, and what it is called here.
local HERE = {
  listen = 'listen (--listen)',
  log_format = 'log.format (--log-format)',
  net_msg_max = 'iproto.net_msg_max',
  auth_delay = 'security.auth_delay',
  auth_retries = 'security.auth_retries',
}
-- What speaks of data, files and other servers, and has no meaning here.
local ELSEWHERE = {}
for name in ([[
  background checkpoint_count checkpoint_interval checkpoint_wal_threshold coredump
  custom_proc_title election_mode feedback_enabled feedback_host feedback_interval force_recovery
  hot_standby instance_uuid io_collect_interval log log_nonblock memtx_dir memtx_max_tuple_size
  memtx_memory memtx_min_tuple_size memtx_use_mvcc_engine pid_file read_only readahead
  replicaset_uuid replication replication_anon replication_connect_quorum
  replication_connect_timeout replication_skip_conflict replication_sync_lag
  replication_sync_timeout replication_synchro_quorum replication_timeout rows_per_wal
  slab_alloc_factor snap_io_rate_limit sql_cache_size strip_core username
  vinyl_bloom_fpr vinyl_cache vinyl_dir vinyl_max_tuple_size vinyl_memory vinyl_page_size
  vinyl_range_size vinyl_read_threads vinyl_run_count_per_level vinyl_run_size_ratio
  vinyl_timeout vinyl_write_threads wal_dir wal_dir_rescan_delay wal_max_size wal_mode
  work_dir worker_pool_threads]]):gmatch('%S+') do
  ELSEWHERE[name] = true
end

local cfg = {}

local values = {}

-- Addresses of the binary protocol.
local function addresses()
  local header, list = shared.header, {}
  for index = 0, tonumber(header.first_console) - 1 do
    list[index + 1] = ffi.string(header.listener_names + index * LISTENER_BYTES)
  end
  return #list > 1 and list or list[1]
end

local function is_same(value, wanted)
  if type(value) == 'table' and type(wanted) == 'table' and #value == #wanted then
    for index, each in ipairs(value) do
      if each ~= wanted[index] then
        return false
      end
    end
    return true
  end
  return value == wanted
end

-- What may be set at any time: functions that do it, or say what is wrong with the value.
local dynamic = {
  log_level = function(wanted)
    local name = levels.name_of(wanted)
    if name == nil and type(wanted) ~= 'string' then
      return 'must be a number or a string'
    elseif name == nil then
      return 'expected ' .. levels.EXPECTED
    end
    levels.set(name)
    return nil
  end,
  too_long_threshold = function(wanted)
    if type(wanted) ~= 'number' then
      return 'should be of type number'
    elseif not (wanted == 0 or wanted >= SHORTEST and wanted <= LONGEST) then
      return ('expected seconds from %g to %d, or 0'):format(SHORTEST, LONGEST)
    end
    bridge.adjust('log.slow_request', wanted)
    return nil
  end,
}

-- The level is another one.
function levels.changed(number)
  cfg.show('log_level', number)
end

local function refuse(name)
  local why = 'unexpected option'
  if HERE[name] then
    why = ('it is set when the server starts, as the setting %s'):format(HERE[name])
  elseif ELSEWHERE[name] then
    why = 'this server keeps no data and has no such option'
  end
  error(errors.client('CFG', tostring(name), why))
end

-- What box.cfg{...} does: it raises for the first option that would change something.
local function configure(_, options)
  if options == nil then
    return
  elseif type(options) ~= 'table' then
    error('Usage: box.cfg{option = value}', 2)
  end
  local later = {}
  for name, wanted in pairs(options) do
    if not is_same(rawget(values, name), wanted) then
      later[name] = dynamic[name] and wanted or refuse(name)
    end
  end
  for name, wanted in pairs(later) do
    local problem = dynamic[name](wanted)
    if problem ~= nil then
      error(errors.client('CFG', name, problem))
    end
    cfg.show(name, wanted)
  end
end

-- Show another value from now on.
function cfg.show(name, value)
  rawset(values, name, value)
end

-- Make box.cfg; `facts` as box/init has them.
function cfg.make(facts)
  values = {
    listen = addresses(),
    log_format = bridge.log_format(),
    log_level = levels.current(),
    name = facts.name,
    net_msg_max = values.net_msg_max,
    too_long_threshold = values.too_long_threshold,
    workers = facts.count,
  }
  return setmetatable(values, {
    __call = configure,
    __newindex = function()
      error('Attempt to modify a read-only table', 2)
    end,
  })
end

return cfg
