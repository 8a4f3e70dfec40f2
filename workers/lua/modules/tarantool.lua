-- What this server is, under the name that libraries and clients ask for: require('tarantool').
--
--   version, package    the version whose behaviour the server has, and what it is
--   pid(), uptime()     of the worker, and of the server in seconds
--   build               what it was built for

local const = require('beespace.engine.const')
local ffi = require('ffi')
local shared = require('beespace.engine.table')
local sys = require('beespace.engine.sys')

local tarantool = {
  version = const.GREETING_VERSION,
  package = 'beespace',
  build = {target = ffi.os .. '-' .. ffi.arch, mod_format = 'so', flags = '', options = ''},
}

function tarantool.pid()
  return sys.C.getpid()
end

function tarantool.uptime()
  return sys.clock(sys.CLOCK_REALTIME) - tonumber(shared.header.started)
end

return tarantool
