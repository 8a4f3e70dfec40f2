-- What json and yaml share: options, new(), NULL.
--
-- modules/json and modules/yaml say how a value becomes text and back, and which options they obey.
-- All options of Tarantool's serializers are known here. Those that a module does not obey cannot
-- be changed, unless Tarantool's module does not obey them either. Tarantool ignores options that
-- it does not know; here they are errors, as a misspelled one would change nothing and nobody would
-- notice.

local decode = require('beespace.engine.decode')

local error, pairs, select, type, tostring = error, pairs, select, type, tostring
local format = string.format
local getinfo = debug.getinfo

local DEFAULTS = {
  encode_number_precision = 14,
  encode_invalid_numbers = true,
  decode_invalid_numbers = true,
  decode_max_depth = 128,
  encode_sparse_convert = true,
  encode_sparse_ratio = 2,
  encode_sparse_safe = 10,
  encode_max_depth = 128,
  encode_deep_as_nil = false,
  encode_invalid_as_nil = false,
  encode_load_metatables = true,
  encode_use_tostring = false,
  decode_save_metatables = true,
}

local function is_count(limit, least)
  return function(value)
    return type(value) == 'number' and value >= (least or 1) and value <= limit and value % 1 == 0
  end
end

local function is_boolean(value)
  return type(value) == 'boolean'
end

-- What a changeable option may be.
local CHECKS = {
  encode_deep_as_nil = {is_boolean, 'a boolean'},
  encode_max_depth = {is_count(1e9, 0), 'a whole number from 0 to 1000000000'},
  decode_save_metatables = {is_boolean, 'a boolean'},
  encode_invalid_as_nil = {is_boolean, 'a boolean'},
  encode_load_metatables = {is_boolean, 'a boolean'},
  encode_sparse_convert = {is_boolean, 'a boolean'},
  encode_sparse_ratio = {is_count(1e9, 0), 'a whole number from 0 to 1000000000'},
  encode_sparse_safe = {is_count(1e9, 0), 'a whole number from 0 to 1000000000'},
  encode_use_tostring = {is_boolean, 'a boolean'},
  encode_number_precision = {is_count(16), 'a whole number from 1 to 16'},
  encode_invalid_numbers = {is_boolean, 'a boolean'},
  decode_invalid_numbers = {is_boolean, 'a boolean'},
  decode_max_depth = {is_count(128), 'a whole number from 1 to 128'},
}

local M = {
  -- A check that a module may have for one of its options: like those above, but with a limit that
  -- nobody reaches.
  ANY_COUNT = {is_count(1e9, 0), 'a whole number from 0 to 1000000000'},
}

local function check_option(owner, changeable, name, value)
  local default = DEFAULTS[name]
  if default == nil then
    error(format("%s: unknown option '%s'", owner, tostring(name)), 0)
  elseif not changeable[name] then
    if value ~= default then
      error(format("%s: option '%s' cannot be changed from %s", owner, name, tostring(default)), 0)
    end
  end
  local check = type(changeable[name]) == 'table' and changeable[name] or CHECKS[name]
  if check ~= nil and not check[1](value) then
    error(format("%s: option '%s': expected %s, got '%s'", owner, name, check[2], tostring(value)),
      0)
  end
end

-- Settings with the options of one call over them; `options` may be nil.
local function merged(kind, settings, options)
  if options == nil then
    return settings
  elseif type(options) ~= 'table' then
    error(format('%s: expected a table of options, got %s', kind.name, type(options)), 0)
  end
  local result = {}
  for name, value in pairs(settings) do
    result[name] = value
  end
  for name, value in pairs(options) do
    check_option(kind.name, kind.changeable, name, value)
    result[name] = value
  end
  return result
end

-- The cfg of a module: the options as fields; called with a table it changes them.
local function configuration(kind)
  local settings = {}
  for name, value in pairs(DEFAULTS) do
    settings[name] = value
  end
  return setmetatable(settings, {
    __call = function(_, ...)
      local options = ...
      if type(options) ~= 'table' then
        local got = select('#', ...) == 0 and 'no value' or type(options)
        error(format("bad argument #2 to '?' (table expected, got %s)", got), 0)
      end
      for name, value in pairs(merged(kind, settings, options)) do
        settings[name] = value
      end
    end,
  })
end

M.configuration = configuration

-- What every serializer has beside its functions.
function M.constants(module)
  module.NULL = decode.NULL
  module.null = decode.NULL
  module.array_mt = decode.seq_mt
  module.map_mt = decode.map_mt
  return module
end

local COUNT = 'expected 1 or 2 arguments'

-- Raise that the first argument of the function that called this one is wrong.
local function bad_argument(what)
  error(format("bad argument #1 to '%s' (%s)", getinfo(2, 'n').name or '?', what), 3)
end

-- A module whose functions take options. kind: name ('json'), changeable (by option names: true, or
-- a check of its own), and
-- encode(value, settings), decode(text, settings) -> result or nil, problem; unpack(packed) -> what
-- decode() returns.
function M.make(kind)
  local cfg = configuration(kind)
  local module = M.constants({cfg = cfg})

  function module.encode(...)
    if select('#', ...) == 0 or select('#', ...) > 2 then
      bad_argument(COUNT)
    end
    local value, options = ...
    local settings = merged(kind, cfg, options)
    local text, problem = kind.encode(value, settings)
    if text == nil then
      error(problem, 0)
    end
    return text
  end

  function module.decode(...)
    if select('#', ...) == 0 or select('#', ...) > 2 then
      bad_argument(COUNT)
    end
    local text, options = ...
    if type(text) ~= 'string' and type(text) ~= 'number' then
      bad_argument(format('string expected, got %s', type(text)))
    end
    local packed, problem = kind.decode(tostring(text), merged(kind, cfg, options))
    if packed == nil then
      error(problem, 0)
    end
    return kind.unpack(packed)
  end

  -- Another instance with its own options.
  function module.new()
    return M.make(kind)
  end

  return module
end

return M
