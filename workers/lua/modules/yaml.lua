-- YAML: require('yaml'). encode(value[, tag]), decode(text[, options]), cfg{...}, new(), NULL.
--
-- encode gives one document between `---` and `...`, rendered as the console does (engine/yaml);
-- its second argument declares a tag as {tag_handle =, tag_prefix =}. decode returns the value of
-- every document of the text; with {tag_only = true} handle and prefix of the tag that it declares.
-- PyYAML reads it through the bridge (engine/yaml_build). See box/serializer for cfg; as in
-- Tarantool, the greatest depths do nothing here, and numbers never have more than 14 digits.

local bridge = require('beespace.bridge')
local codec = require('beespace.engine.codec')
local renderer = require('beespace.engine.yaml')
local serializer = require('beespace.box.serializer')
local yaml_build = require('beespace.engine.yaml_build')

local error, find, select, tostring, type = error, string.find, select, tostring, type
local build, unpack = yaml_build.build, unpack

local ENCODE_USAGE = 'Usage: encode(object, {tag_prefix = <string>, tag_handle = <string>})'
local DECODE_USAGE = 'Usage: yaml.decode(document, [{tag_only = boolean}])'

local KIND = {
  name = 'yaml',
  changeable = {
    encode_number_precision = serializer.ANY_COUNT,
    encode_max_depth = true,
    encode_deep_as_nil = true,
    encode_invalid_numbers = true,
    encode_sparse_convert = true,
    encode_sparse_ratio = true,
    encode_sparse_safe = true,
    encode_invalid_as_nil = true,
    encode_load_metatables = true,
    encode_use_tostring = true,
    decode_invalid_numbers = true,
    decode_save_metatables = true,
    decode_max_depth = serializer.ANY_COUNT,
  },
}

local function checked(result, problem)
  if result == nil then
    error(problem, 0)
  end
  return result
end

local function as_text(value)
  return (type(value) == 'string' or type(value) == 'number') and tostring(value) or nil
end

-- Handle and prefix of the tag in the options of encode(): nil, nil without; false and a problem
-- for those that no document can have.
local function tag_of(options)
  if options == nil then
    return nil
  end
  local handle, prefix
  if type(options) == 'table' then
    handle, prefix = as_text(options.tag_handle), as_text(options.tag_prefix)
    if options.tag_handle == nil and options.tag_prefix == nil then
      return nil
    end
  end
  if handle == nil or prefix == nil then
    error(ENCODE_USAGE, 0)
  elseif handle == '' or prefix == '' then
    return false, ('tag %s must not be empty'):format(handle == '' and 'handle' or 'prefix')
  elseif not find(handle, '^!') then
    return false, "tag handle must start with '!'"
  elseif not find(handle, '!$') then
    return false, "tag handle must end with '!'"
  elseif not find(handle, '^!%w*!?$') then
    return false, 'tag handle must contain alphanumerical characters only'
  end
  return handle, prefix
end

local function make()
  local module = serializer.constants({cfg = serializer.configuration(KIND), new = make})

  function module.encode(...)
    if select('#', ...) == 0 or select('#', ...) > 2 then
      error(ENCODE_USAGE, 0)
    end
    local value, options = ...
    local handle, prefix = tag_of(options)
    if handle == false then
      return nil, prefix
    end
    return renderer.encode(value, module.cfg, handle, prefix)
  end

  function module.decode(...)
    local text, options = as_text((...)), (select(2, ...))
    if text == nil or select('#', ...) > 1 and type(options) ~= 'table' then
      error(DECODE_USAGE, 0)
    end
    if options ~= nil and options.tag_only == true then
      local found = codec.unpack(checked(bridge.yaml_tag(text)))
      if found[1] == nil and #found > 0 then
        return nil, found[2]
      end
      return unpack(found, 1, #found)
    end
    local steps = checked(bridge.yaml_read(text, module.cfg.decode_invalid_numbers))
    local documents, count = build(steps, module.cfg.decode_save_metatables)
    return unpack(documents, 1, count)
  end

  return module
end

return make()
