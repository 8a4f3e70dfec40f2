-- The names applications see: box, db, session, print, help.
--
-- Called by engine/main before the application runs. Everything here is a global on purpose; no
-- other file makes one.

local access = require('beespace.engine.access')
local ctl = require('beespace.box.ctl')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local events = require('beespace.box.events')
local func = require('beespace.box.func')
local help = require('beespace.engine.help')
local info = require('beespace.box.info')
local iproto = require('beespace.box.iproto')
local once = require('beespace.box.once')
local print_to_log = require('beespace.box.print')
local schema = require('beespace.box.schema')
local security = require('beespace.box.security')
local session = require('beespace.box.session')
local space = require('beespace.box.space')
local system_events = require('beespace.box.system_events')
local tuple = require('beespace.box.tuple')
local workers = require('beespace.box.workers')

local globals = _G

local init = {}

-- Define the globals; `facts` as box/info and box/system_events take them.
function init.define(facts)
  globals.box = {
    NULL = decode.NULL,
    broadcast = events.broadcast,
    ctl = ctl,
    error = errors.api,
    func = func,
    info = info.make(facts),
    iproto = iproto,
    once = once.call,
    schema = schema,
    security = security,
    session = session,
    space = space,
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
  access.note_globals(globals)
end

return init
