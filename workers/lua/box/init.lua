-- The names applications see: box, db, session, print.
--
-- Called by engine/main before the application runs. Everything here is a global on purpose; no
-- other file makes one.

local ctl = require('beespace.box.ctl')
local decode = require('beespace.engine.decode')
local errors = require('beespace.box.error')
local info = require('beespace.box.info')
local iproto = require('beespace.box.iproto')
local print_to_log = require('beespace.box.print')
local session = require('beespace.box.session')
local workers = require('beespace.box.workers')

local globals = _G

local init = {}

-- Define the globals; `facts` as box/info takes them.
function init.define(facts)
  globals.box = {
    NULL = decode.NULL,
    ctl = ctl,
    error = errors.api,
    info = info.make(facts),
    iproto = iproto,
    session = session,
    workers = workers,
  }
  globals.db = {session = session}
  globals.session = session
  globals.print = print_to_log
end

return init
