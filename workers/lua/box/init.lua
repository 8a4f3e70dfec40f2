-- The names applications see: box, db, session, print, help, _TARANTOOL, tonumber64, dostring, and
-- what Tarantool has besides in Lua's own libraries.
--
-- Called by engine/main before the application runs. Everything here is a global on purpose; no
-- other file makes one.

local access = require('beespace.engine.access')
local cfg = require('beespace.box.cfg')
local const = require('beespace.engine.const')
local ctl = require('beespace.box.ctl')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local events = require('beespace.box.events')
local func = require('beespace.box.func')
local help = require('beespace.engine.help')
local info = require('beespace.box.info')
local internal = require('beespace.box.internal')
local iproto = require('beespace.box.iproto')
local memory = require('beespace.box.memory')
local numbers = require('beespace.box.numbers')
local once = require('beespace.box.once')
local print_to_log = require('beespace.box.print')
local process = require('beespace.box.process')
local schema = require('beespace.box.schema')
local security = require('beespace.box.security')
local session = require('beespace.box.session')
local space = require('beespace.box.space')
local stat = require('beespace.box.stat')
local strings = require('beespace.box.strings')
local system_events = require('beespace.box.system_events')
local tables = require('beespace.box.tables')
local tuple = require('beespace.box.tuple')
local workers = require('beespace.box.workers')

local globals = _G

local init = {}

-- Define the globals; `facts` as box/info and box/system_events take them, but for `listen`.
function init.define(facts)
  local settings = cfg.make(facts)
  facts.listen = settings.listen
  globals.box = {
    NULL = decode.NULL,
    broadcast = events.broadcast,
    cfg = settings,
    ctl = ctl,
    error = errors.api,
    func = func,
    info = info.make(facts),
    internal = internal,
    iproto = iproto,
    once = once.call,
    runtime = memory.runtime,
    schema = schema,
    security = security,
    session = session,
    slab = memory.slab,
    space = space,
    stat = stat,
    tuple = tuple.api,
    watch = events.watch,
    watch_once = events.watch_once,
    workers = workers,
  }
  system_events.define(facts)
  globals.db = {session = session}
  globals.session = session
  globals.print = print_to_log
  globals.help = help
  globals._TARANTOOL = const.GREETING_VERSION
  globals.tonumber64 = numbers.tonumber64
  process.define(globals)
  strings.define(globals.string)
  tables.define(globals.table)
  access.note_globals(globals)
end

return init
