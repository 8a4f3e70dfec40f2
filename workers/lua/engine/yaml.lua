-- YAML of Lua values, as the console and require('yaml') print them.
--
-- Called by the console for answers, errors and pushes, and by modules/yaml. A value becomes
-- events (engine/yaml_walk), these become text in Python (workers/rendering.py). What cannot be
-- serialised raises a text.

local bridge = require('beespace.bridge')
local stream = require('beespace.engine.yaml_stream')
local walk = require('beespace.engine.yaml_walk')

local error, pcall, select, type = error, pcall, select, type

local NOTHING = '---\n...\n'
local PUSH_HANDLE, PUSH_PREFIX = '!push!', 'tag:tarantool.io/push,2018'

local yaml = {
  --- '2.6' or 'new'; set by engine/main.
  dialect = '2.6',
  --- The options of require('yaml').
  defaults = {
    encode_number_precision = 14,
    encode_invalid_numbers = true,
    encode_sparse_convert = true,
    encode_sparse_ratio = 2,
    encode_sparse_safe = 10,
    encode_invalid_as_nil = false,
    encode_load_metatables = true,
    encode_use_tostring = false,
  },
}

-- The console prints whatever there is.
local console = {}
for name, value in pairs(yaml.defaults) do
  console[name] = value
end
console.encode_use_tostring = true
console.encode_invalid_as_nil = true

local function begin(options)
  return walk.context(options, yaml.dialect == 'new', nil)
end

local function render(events, handle, prefix)
  local text, problem = bridge.yaml_render(events, yaml.dialect, handle, prefix)
  if text == nil then
    error(problem, 0)
  end
  return text
end

local function finish(c, handle, prefix)
  return render(c.out:tostring(), handle, prefix)
end

-- The events of a list of values.
local function put_list(c, ...)
  local count = select('#', ...)
  for place = 1, count do
    walk.look_into(c, (select(place, ...)))
  end
  walk.open(c)
  for place = 1, count do
    walk.value(c, (select(place, ...)))
  end
  walk.close(c)
end

-- The events of one value.
local function put_one(c, value)
  walk.look_into(c, value)
  walk.value(c, value)
end

-- Run a walk; what it raises becomes a text.
local function checked(put, c, ...)
  local ok, raised = pcall(put, c, ...)
  if not ok then
    error(type(raised) == 'string' and raised:gsub('^beespace/[%w_/]+%.lua:%d+: ', '') or raised, 0)
  end
  return c
end

--- The answer with these results.
function yaml.answer(...)
  if select('#', ...) == 0 then
    return NOTHING
  end
  return finish(checked(put_list, begin(console), ...))
end

-- What stands for an error in an answer.
local function as_result(raised)
  return setmetatable({error = raised}, {__serialize = 'mapping', __keys = {'error'}})
end

--- The answer with an error, which may be any value.
function yaml.failure(raised)
  return finish(checked(put_list, begin(console), as_result(raised)))
end

--- A document that declares the tag of pushes.
function yaml.push(value)
  return finish(checked(put_one, begin(console), value), PUSH_HANDLE, PUSH_PREFIX)
end

--- One value as a document. options: all of yaml.defaults; handle and prefix declare a tag.
function yaml.encode(value, options, handle, prefix)
  return finish(checked(put_one, begin(options or yaml.defaults), value), handle, prefix)
end

--- The results of one worker, or its error when not ok, as bytes for labelled().
function yaml.stream(ok, ...)
  if ok then
    return checked(put_list, begin(console), ...).out:tostring()
  end
  return checked(put_list, begin(console), as_result((...))).out:tostring()
end

--- One document of several streams: parts is a list of {label =, stream =}.
function yaml.labelled(parts)
  local out = stream.new()
  out:put(stream.SEQUENCE)
  for place = 1, #parts do
    out:put(stream.MAPPING)
    stream.text(out, parts[place].label)
    out:put(stream.SECTION, parts[place].stream, stream.MAPPING_END)
  end
  out:put(stream.SEQUENCE_END)
  return render(out:tostring())
end

return yaml
