-- Wires a worker together; workers/process.py calls these functions in this order.
--
--   prepare(settings)      layout, segment, buffers, channels, globals
--   guard(library)         code that runs too long, or takes too much memory, can be ended
--   slow()                 addresses that tell which requests are slow
--   load(path, text)       the application, as background code
--   warm()                 the request path is compiled
--   serve()                the loop, until it shall stop
--
-- settings: cdef, facts, address, index, count, name, version, max_fds, max_packet_size, intake_fd,
-- control_fd, wakeup_fd, press_fd, orders_fd, bus_reader, bus_writers (descriptors as a text),
-- jit_log, console_dialect, session_results, fiber_user, session_su; and with their dotted keys
-- those that may change later, see engine/live.

local jit_options = require('jit.opt')
local adoption = require('beespace.engine.adoption')
local arrears = require('beespace.engine.arrears')
local bus = require('beespace.engine.bus')
local box_init = require('beespace.box.init')
local catalog = require('beespace.engine.catalog')
local channels = require('beespace.engine.channels')
local closing = require('beespace.engine.closing')
local compat = require('beespace.box.compat_flags')
local codec = require('beespace.engine.codec')
local coroutines = require('beespace.engine.coroutines')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local events = require('beespace.engine.events')
local failures = require('beespace.engine.failures')
local fibers = require('beespace.engine.fibers')
local glance = require('beespace.engine.glance')
local greeting = require('beespace.engine.greeting')
local health = require('beespace.engine.health')
local history = require('beespace.engine.history')
local idle = require('beespace.engine.idle')
local interrupt = require('beespace.engine.interrupt')
local landmarks = require('beespace.engine.landmarks')
local lifetimes = require('beespace.engine.lifetimes')
local live = require('beespace.engine.live')
local log = require('log')
local logins = require('beespace.engine.logins')
local loop = require('beespace.engine.loop')
local orders = require('beespace.engine.orders')
local rates = require('beespace.engine.rates')
local records = require('beespace.engine.fiber_records')
local sessions = require('beespace.engine.sessions')
local shared = require('beespace.engine.table')
local slow = require('beespace.engine.slow')
local state = require('beespace.engine.state')
local stopping = require('beespace.engine.stopping')
local sys = require('beespace.engine.sys')
local tallies = require('beespace.engine.tallies')
local triggers = require('beespace.engine.triggers')
local uuid = require('uuid')
local warmup = require('beespace.engine.warmup')
local yaml = require('beespace.engine.yaml')
local yaml_press = require('beespace.engine.yaml_press')

require('beespace.box.inbox')
require('beespace.box.session_history')
require('beespace.box.session_kill')
require('beespace.box.session_labels')
require('beespace.box.session_list')
require('beespace.box.session_new')
require('beespace.box.session_su')
require('beespace.box.session_triggers')
require('beespace.engine.endings')
require('beespace.engine.visits')

-- What applications may require is loaded now: it needs our files, which they cannot reach later.
require('clock')
require('compat')
require('console')
require('datetime')
require('decimal')
require('digest')
require('errno')
require('fiber')
require('json')
require('msgpack')
require('strict')
require('tarantool')
require('trigger')
require('uri')
require('varbinary')
require('yaml')

local st = state.st

local main = {}

-- A flat loop is one root trace with very many side traces; the defaults stop at 100 of them.
local function tune_jit()
  jit_options.start('maxtrace=8000', 'maxrecord=16000', 'maxside=1000', 'maxsnap=2000',
    'maxmcode=32768', 'sizemcode=256', 'maxirconst=4000')
end

-- A fiber ended with an error that nobody waits for.
local function report(record, raised)
  log.error('fiber %d (%s) failed: %s', record.id, record.name, errors.describe(raised))
end

-- Descriptors that no application may give away.
local function own_descriptors(settings)
  local list = {settings.control_fd, settings.wakeup_fd, settings.press_fd, settings.orders_fd,
    settings.bus_reader}
  for writer in settings.bus_writers:gmatch('%d+') do
    list[#list + 1] = tonumber(writer)
  end
  return list
end

-- Make everything ready for the application.
function main.prepare(settings)
  tune_jit()
  health.start(settings.jit_log and log.info or nil)
  shared.declare(settings.cdef, settings.facts)
  shared.attach(settings.address, settings.index)
  -- The row may still tell how many sessions a dead process had.
  shared.row.sessions, shared.row.lost_running = 0, 0
  shared.row.kept, shared.row.own_fds = 0, 0
  shared.row.in_progress, shared.row.queued, shared.row.streams = 0, 0, 0
  glance.attach()
  history.attach(settings.index)
  st.max_packet = settings.max_packet_size
  yaml.dialect = settings.console_dialect or yaml.dialect
  stopping.failed = function(text) log.error('a shutdown function failed: %s', text) end
  stopping.cut_off = function(count)
    log.warn('%d on_disconnect cut off: they outlast process.stop_timeout', count)
  end
  encode.limits.cap, encode.limits.shared = state.RESULT_LIMIT, state.RESULT_LIMIT
  sessions.reserve(settings.max_fds)
  logins.reserve(settings.max_fds)
  lifetimes.reserve(settings.max_fds)
  local instance = tostring(uuid.frombin(settings.instance, 'network'))
  greeting.prepare(instance)
  channels.add_channel(settings.intake_fd, loop.attend_to_intake)
  adoption.attach(settings.intake_fd, own_descriptors(settings))
  channels.add_channel(settings.control_fd, loop.attend_to_python)
  channels.add_channel(settings.wakeup_fd, loop.attend_to_python)
  yaml_press.attach(settings.press_fd)
  orders.attach()
  closing.attach(settings.orders_fd)
  events.attach()
  catalog.attach()
  failures.attach()
  tallies.attach()
  rates.attach()
  bus.attach(settings.index, settings.bus_reader, settings.bus_writers, channels)
  triggers.attach()
  fibers.own, records.failed = loop.guard, report
  coroutines.install(coroutine, _G)
  interrupt.hide(debug)
  compat.session_results = settings.session_results == 'new' and 1 or 0
  compat.fiber_user = settings.fiber_user == 'old' and 0 or 1
  compat.session_su = settings.session_su == 'old' and 0 or 1
  box_init.define({
    version = settings.version,
    uuid = instance,
    name = settings.name,
    index = settings.index,
    count = settings.count,
  })
  live.apply(settings)
  landmarks.attach()
end

-- Text of what an application raised; a value that carries no place gets the one that raised it.
local function reason_of(raised)
  local text = errors.describe(raised)
  if text:find('^[^\n]-:%d+: ') then
    return text
  end
  local level = 1
  local at
  repeat
    level = level + 1
    at = debug.getinfo(level, 'Sl')
  until at == nil or at.currentline > 0 and not at.source:find('^@beespace/')
  return at and ('%s:%d: %s'):format(at.short_src, at.currentline, text) or text
end

-- Run the application's text in a fiber of its own; its errors are raised with file and line.
function main.load(path, text)
  local chunk, err = loadstring(text, '@' .. path, 't')
  if chunk == nil then
    error(err, 0)
  end
  local ok, reason
  triggers.begin_loading()
  fibers.settle(fibers.create(function()
    ok, reason = xpcall(chunk, reason_of)
  end))
  if not ok then
    error(reason, 0)
  end
  triggers.end_loading()
end

-- Compile the request path.
function main.warm()
  idle.share()
  warmup.run()
  codec.warm_up()
  local now = sys.clock(sys.CLOCK_MONOTONIC)
  health.settle(now)
  health.begin(now)
  health.publish()
end

-- Take settings that may change while the worker runs, by their dotted keys; see engine/live.
main.apply = live.apply

-- Let the watchdog end code that runs too long, or takes too much memory; see engine/interrupt.
function main.guard(library)
  return interrupt.install(library)
end

-- Addresses for who looks for slow requests, see engine/slow.
main.slow = slow.places

-- Serve until the loop shall end, then end every session.
function main.serve()
  arrears.say_hello()
  health.begin(sys.clock(sys.CLOCK_MONOTONIC))
  repeat
    fibers.drive()
    if st.stop == loop.CURE then
      health.cure(sys.clock(sys.CLOCK_MONOTONIC), warmup.run)
      st.stop = 0
    end
  until st.stop == loop.END
  sessions.dismiss()
  fibers.run_ready()
  sessions.close_all()
  bus.flush()
end

return main
