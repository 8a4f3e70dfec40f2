-- A console: one statement in, the text of its answer out.
--
--   engine/consoles: a console's socket ---> run(c, line) --+--> console_commands: \set, \help ...
--   modules/console: a binary session -------^              +--> elsewhere: other workers
--                                                           +--> evaluate: here
--   values, or an error --> yaml or lua_output --> text
--
-- c = {delimiter =, format = {fmt =, opt =, eos =}, language =, socket =, target =}: what ends a
-- statement; how values are written ('yaml', or 'lua' with 'line' or 'block'); whether it has a
-- socket of its own; which worker runs its statements, a number or 'all', nil for this one.

local commands = require('beespace.engine.console_commands')
local errors = require('beespace.box.error')
local fibers = require('beespace.engine.fibers')
local lua_output = require('beespace.engine.lua_output')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')
local yaml = require('beespace.engine.yaml')

-- It says first what happens when a session ends.
require('beespace.box.session')

local error, loadstring, pcall, type = error, loadstring, pcall, type
local byte, match, sub = string.byte, string.match, string.sub
local cur = state.cur

local BACKSLASH, ESCAPE = 92, 27
-- What begins with one of these words is no expression: it need not be tried as one, which costs as
-- much as the statement.
local STATEMENTS = {
  ['break'] = true, ['do'] = true, ['for'] = true, ['if'] = true, ['local'] = true,
  ['repeat'] = true, ['return'] = true, ['while'] = true,
}
-- What LuaJIT says of bytecode that is not its own; here all bytecode is refused.
local BYTECODE = '(binary): cannot load incompatible bytecode'
local YAML_FAILED = 'console: an exception occurred when formatting the output: %s'
local LUA_FAILED = 'console: exception while formatting output: "%s"'

local console = {
  -- Runs a statement of a console that has a target, and answers like run(); engine/consoles sets
  -- it.
  elsewhere = function(_, _)
    error('statements cannot be run by other workers here', 0)
  end,
}

-- The output format of new consoles.
local default_format = {fmt = 'yaml'}

-- Consoles of sessions that have none of their own, by session.
local of_sessions = {}

-- A console, as of the head of this file; `socket` tells whether it has one.
function console.new(socket)
  local format = default_format
  return {
    delimiter = '',
    format = {fmt = format.fmt, opt = format.opt, eos = format.eos},
    language = 'lua',
    socket = socket,
  }
end

-- The console that the running code belongs to, nil where it has none.
function console.current()
  return fibers.current().console
end

local forget = sessions.ended
function sessions.ended(id)
  forget(id)
  if of_sessions[id] ~= nil then
    of_sessions[id] = nil
  end
end

-- The same, made for the session where there is none.
function console.of_session()
  local c = console.current() or of_sessions[cur.id]
  if c == nil then
    c = console.new(false)
    of_sessions[cur.id] = c
  end
  return c
end

-- Read and change the output format that new consoles have.
function console.default_format()
  return default_format
end

function console.set_default_format(format)
  default_format = format
end

-- Answers ----------------------------------------------------------------------------------------

local function write(c, ok, ...)
  if c.format.fmt == 'lua' then
    return lua_output.answer(c.format, ok, ...)
  elseif ok then
    return yaml.answer(...)
  end
  return yaml.failure((...))
end

-- What is said of values that cannot be written in a format, for what that has raised.
function console.unwritable(format, raised)
  local message = format.fmt == 'lua' and LUA_FAILED or YAML_FAILED
  return message:format(type(raised) == 'string' and raised or errors.describe(raised))
end

local function formatting_failed(c, raised)
  return write(c, false, console.unwritable(c.format, raised))
end

-- The text for what a protected call has answered. Only the end of its fiber ends that.
function console.answer(c, ...)
  local written, text = pcall(write, c, ...)
  if written then
    return text
  elseif fibers.current().cancelled then
    error(text, 0)
  end
  return formatting_failed(c, text)
end

-- The text of an error answer; raises nothing.
function console.failure(c, raised)
  local written, text = pcall(write, c, false, raised)
  return written and text or formatting_failed(c, text)
end

-- The bytes that tell a console's client of a pushed value; raises a text when there are none.
function console.push(c, value)
  if c.format.fmt == 'lua' then
    return lua_output.push(c.format, value)
  end
  return yaml.push(value)
end

-- Statements -------------------------------------------------------------------------------------

-- An expression is a statement that returns it. The chunk has its own text as its name.
local function compile(line)
  if byte(line) == ESCAPE then
    return nil, BYTECODE
  elseif not STATEMENTS[match(line, '^%s*(%l+)%f[^%w_\128-\255]')] then
    local expression = 'return ' .. line
    local chunk = loadstring(expression, expression, 't')
    if chunk ~= nil then
      return chunk
    end
  end
  return loadstring(line, line, 't')
end

-- Run a statement here: true and its results, or false and its error. The chunk is called without
-- anything between, so that the places in errors are those of the statement.
function console.evaluate(line)
  local chunk, err = compile(line)
  if chunk == nil then
    return false, err
  end
  return pcall(chunk)
end

local function obey(c, verdict, ...)
  if verdict == commands.QUIT then
    return nil
  end
  return console.answer(c, verdict, ...)
end

local function run_elsewhere(c, line)
  local ok, text = pcall(console.elsewhere, c, line)
  if ok then
    return text
  end
  return console.failure(c, text)
end

-- The answer to one statement; nil when the console shall end without one.
function console.run(c, line)
  if byte(line) == BACKSLASH then
    return obey(c, commands.run(c, sub(line, 2)))
  elseif c.target ~= nil then
    return run_elsewhere(c, line)
  end
  return console.answer(c, console.evaluate(line))
end

return console
