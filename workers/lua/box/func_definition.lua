-- What a function to be created is like: its options, checked and completed.
--
-- Pure; box/schema_func calls fields() before it changes the catalog. What is not given is filled
-- in by the catalog.

local errors = require('beespace.box.error')
local options = require('beespace.box.schema_options')

local error, ipairs, next, type = error, ipairs, next, type

local definition = {
  -- Types of the options of box.schema.func.create.
  OPTIONS = {
    aggregate = 'string', body = 'string', comment = 'string', exports = 'table',
    if_not_exists = 'boolean', is_deterministic = 'boolean', is_multikey = 'boolean',
    is_sandboxed = 'boolean', language = 'string', opts = 'table', param_list = 'table',
    returns = 'string', setuid = 'boolean', takes_raw_args = 'boolean', trigger = 'string, table',
  },
}

local IN_OPTS = {is_multikey = 'boolean', takes_raw_args = 'boolean'}

local function set(...)
  local members = {}
  for _, name in ipairs({...}) do
    members[name] = true
  end
  return members
end

local LANGUAGES = set('LUA', 'C')
local EXPORTS = set('LUA', 'SQL')
local AGGREGATES = set('none', 'group')
local TYPES = set('any', 'unsigned', 'string', 'number', 'double', 'integer', 'boolean',
  'varbinary', 'scalar', 'decimal', 'uuid', 'datetime', 'interval', 'array', 'map')

local function check_language(name, chosen, language)
  local is_sandboxed, body = chosen.is_sandboxed, chosen.body or ''
  if not LANGUAGES[language] then
    error(errors.client('FUNCTION_LANGUAGE', language, name))
  elseif language == 'C' and (is_sandboxed or body ~= '') then
    error(errors.client('CREATE_FUNCTION', name,
      'body and is_sandboxed options are not compatible with C language'))
  elseif is_sandboxed and body == '' then
    error(errors.client('CREATE_FUNCTION', name, 'is_sandboxed option may be set only for a '
      .. 'persistent Lua function (one with a non-empty body)'))
  end
end

-- The texts of a list in the case in which they are known; an error with `reason` otherwise.
local function known(name, list, members, change, reason)
  local found = {}
  for _, each in ipairs(list) do
    local text = type(each) == 'string' and change(each)
    if not members[text] then
      error(errors.client('CREATE_FUNCTION', name, reason))
    end
    found[#found + 1] = text
  end
  return found
end

local function one(name, text, members, reason)
  return text ~= nil and known(name, {text}, members, string.lower, reason)[1] or nil
end

-- is_multikey and takes_raw_args may be options of their own or in `opts`.
local function opts_of(chosen)
  local found = {}
  for option, value in next, options.check(chosen.opts, IN_OPTS) do
    found[option] = value
  end
  for option in next, IN_OPTS do
    if chosen[option] ~= nil then
      found[option] = chosen[option]
    end
  end
  return found
end

-- What is accepted by Tarantool and would not be obeyed here is refused.
local function check_supported(opts, trigger)
  if opts.takes_raw_args then
    error(errors.client('UNSUPPORTED', 'beespace', 'functions that take raw arguments'))
  elseif trigger ~= nil and (type(trigger) == 'string' or next(trigger) ~= nil) then
    error(errors.client('UNSUPPORTED', 'beespace', 'created functions as triggers'))
  end
end

-- What the catalog is told of a function: `chosen` are its options.
function definition.fields(name, chosen)
  local language = (chosen.language or 'LUA'):upper()
  local opts = opts_of(chosen)
  check_supported(opts, chosen.trigger)
  local returns = one(name, chosen.returns, TYPES, 'invalid returns value')
  local exports = known(name, chosen.exports or {'LUA'}, EXPORTS, string.upper,
    'invalid exports value')
  local params = known(name, chosen.param_list or {}, TYPES, string.lower,
    'invalid argument type')
  check_language(name, chosen, language)
  return {
    aggregate = one(name, chosen.aggregate, AGGREGATES, 'invalid aggregate value'),
    body = chosen.body or '',
    comment = chosen.comment,
    exports = exports,
    is_deterministic = chosen.is_deterministic or false,
    is_sandboxed = chosen.is_sandboxed or false,
    language = language,
    opts = opts,
    param_list = params,
    returns = returns,
    setuid = chosen.setuid or false,
  }
end

return definition
