-- The commands of a console: lines that begin with a backslash.
--
-- engine/console calls run(c, text) with what follows the backslash. It answers like a protected
-- call, true and the values or false and a text; or QUIT. Words are separated by white space, and
-- words too many are let be.

local help = require('beespace.engine.help')
local shared = require('beespace.engine.table')

local tonumber, type = tonumber, type

-- What clients of Tarantool set on a connection that is theirs, not a user's.
local CLIENT_DELIMITER = '$EOF$'

local commands = {
  -- Answered where the console shall end.
  QUIT = {},
}

-- The output format that a text names: a table; or nil, and what is wrong.
function commands.output(text)
  local fmt, opt = text:match('^([^,]+),([^,]+)')
  fmt = fmt or text
  if fmt ~= 'yaml' and fmt ~= 'lua' then
    return nil, ('Invalid format "%s", supported languages: lua and yaml.'):format(text)
  elseif fmt == 'yaml' then
    return {fmt = 'yaml'}
  elseif opt ~= nil and opt ~= 'line' and opt ~= 'block' then
    return nil, ('Wrong option "%s", expecting: line or block.'):format(opt)
  end
  return {fmt = 'lua', opt = opt, eos = ';'}
end

-- Let statements of this console end with `text`: true, or false and what is wrong with it.
function commands.set_delimiter(c, text)
  if c == nil or not c.socket then
    return false, 'console.delimiter(): need existing console'
  elseif type(text) ~= 'string' then
    return false, 'invalid delimiter'
  end
  c.delimiter = text
  return true
end

local set = {}

function set.language(c, value)
  if value == nil then
    return true, {language = c.language}
  elseif value == 'sql' then
    return false, 'There is no SQL on this server, the language is lua.'
  elseif value ~= 'lua' then
    return false, ('Invalid language "%s", supported languages: lua and sql.'):format(value)
  end
  c.language = value
  return true, true
end

function set.output(c, value)
  if value == nil then
    return false, 'Specify output format: lua or yaml.'
  end
  local format, err = commands.output(value)
  if format == nil then
    return false, err
  end
  c.format = format
  return true, true
end

function set.delimiter(c, value)
  if value ~= nil and c.delimiter == CLIENT_DELIMITER then
    return false, 'Can not install delimiter for net box sessions'
  end
  return commands.set_delimiter(c, value or '')
end

function set.worker(c, value)
  if value == nil then
    return true, {worker = c.target or 'own'}
  end
  local number = value:find('^%d+$') and tonumber(value)
  if value == 'own' then
    c.target = nil
  elseif value == 'all' then
    c.target = 'all'
  elseif number and number < shared.header.serving then
    c.target = number
  else
    return false, ('Invalid worker "%s", expected a number from 0 to %d, all or own.')
      :format(value, tonumber(shared.header.serving) - 1)
  end
  return true, true
end

local SET = {
  language = set.language, lang = set.language, l = set.language,
  output = set.output, o = set.output,
  delimiter = set.delimiter, delim = set.delimiter, d = set.delimiter,
  worker = set.worker, w = set.worker,
}

local function run_set(c, words)
  local name = words()
  if name == nil then
    return false, 'Invalid set syntax, type \\help for help'
  elseif SET[name] == nil then
    return false, 'Unknown parameter: ' .. name
  end
  return SET[name](c, words())
end

local function run_help()
  return true, help
end

local function run_quit()
  return commands.QUIT
end

local COMMANDS = {
  help = run_help, h = run_help,
  quit = run_quit, q = run_quit,
  set = run_set, s = run_set,
}

-- See the head of this file.
function commands.run(c, text)
  local words = text:gmatch('%S+')
  local name = words()
  local command = name == nil and run_help or COMMANDS[name]
  if command == nil then
    return false, ('Invalid command \\%s. Type \\help for help.'):format(text)
  end
  return command(c, words)
end

return commands
