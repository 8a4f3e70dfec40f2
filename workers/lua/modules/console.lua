-- The console for applications and clients: require('console').
--
--   eval(line)                           run a statement as a console does; its answer, a text
--   delimiter([text])                    what ends a statement of this console, but its line
--   eos([text])                          what ends an answer of this console
--   set_default_output(format)           how new consoles write values: 'yaml', 'lua,block' ...
--   get_default_output()                 that, as a table
--   completion_handler(text, from, to)   what a word may go on with, see engine/completion
--
-- Clients of the binary protocol run statements by eval; each of their sessions has a console of
-- its own. Consoles are opened by the setting console.listen, and `beespace connect` is their
-- client: what would do that from Lua says so.

local commands = require('beespace.engine.console_commands')
local completion = require('beespace.engine.completion')
local engine = require('beespace.engine.console')

local error, select, type = error, select, type

local M = {}

-- The answer to one statement; no value where a console would end.
function M.eval(line)
  if line == nil then
    return nil
  elseif type(line) ~= 'string' then
    error('Usage: console.eval(line)', 0)
  end
  local text = engine.run(engine.of_session(), line)
  if text == nil then
    return
  end
  return text
end

function M.delimiter(text)
  local c = engine.current()
  if c ~= nil and c.socket and text == nil then
    return c.delimiter
  end
  local ok, err = commands.set_delimiter(c, text)
  if not ok then
    error(err, 0)
  end
end

function M.eos(text)
  local format = engine.of_session().format
  if text == nil then
    return format.eos or '\n...\n'
  elseif format.fmt == 'yaml' then
    error('console.eos(): is immutable for output yaml', 0)
  elseif type(text) ~= 'string' then
    error('Usage: console.eos([text])', 0)
  end
  format.eos = text
end

function M.set_default_output(text)
  if text == nil then
    error('Nil output value passed', 0)
  elseif type(text) ~= 'string' then
    error("Usage: console.set_default_output('yaml')", 0)
  end
  local format, err = commands.output(text)
  if format == nil then
    error(err, 0)
  end
  engine.set_default_format(format)
end

function M.get_default_output(...)
  if select('#', ...) > 0 then
    error('Arguments provided while prohibited', 0)
  end
  local format = engine.default_format()
  return {fmt = format.fmt, opts = format.opt}
end

function M.completion_handler(text, from, to)
  local list = completion.complete(text, from, to)
  if list == nil then
    return
  end
  return list
end

-- Whether the key for completion completes is for each client to say.
function M.ac()
end

local function unavailable(name, instead)
  M[name] = function()
    error(('console.%s is not available on this server: %s'):format(name, instead), 0)
  end
end

unavailable('connect', 'run `beespace connect [URI]`')
unavailable('listen', 'name the URI in the setting console.listen, or start with --console URI')
unavailable('start', 'run `beespace connect [URI]`')

-- Hooks of a console inside of the server's own terminal, which there is none of.
local function hook(name, instead)
  M[name] = function(func)
    if func ~= nil and type(func) ~= 'function' then
      error(('Wrong type of %s hook: %s'):format(name, type(func)), 0)
    elseif func ~= nil then
      error(('console.%s is not available on this server: %s'):format(name, instead), 0)
    end
  end
end

hook('on_start', 'see box.session.on_connect')
hook('on_client_disconnect', 'see box.session.on_disconnect')

return M
