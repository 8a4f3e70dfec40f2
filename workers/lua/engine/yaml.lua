-- YAML of Lua values, as the console and require('yaml') print them.
--
-- Called by the console for answers, errors and pushes, and by modules/yaml. A value becomes
-- events (engine/yaml_walk), these become text in Python (workers/rendering.py); what is small and
-- plain, as most answers are, becomes text at once (engine/yaml_plain). What cannot be serialised
-- raises a text.
--
-- Where the running code may wait, a large value stops no others: its walk gives way to them, and
-- its text is made by a thread (engine/yaml_press). What was walked before others ran is printed as
-- it was then.

local bridge = require('beespace.bridge')
local fibers = require('beespace.engine.fibers')
local plain = require('beespace.engine.yaml_plain')
local press = require('beespace.engine.yaml_press')
local stream = require('beespace.engine.yaml_stream')
local walk = require('beespace.engine.yaml_walk')

local error, find, gsub, pcall, select = error, string.find, string.gsub, pcall, select
local setmetatable, type = setmetatable, type
local clock, may_wait, suspend = fibers.clock, fibers.may_wait, fibers.suspend

-- Seconds that a walk takes at once.
local SLICE = 0.002
-- Bytes of events that are rendered at once.
local LARGE = 65536
local TOO_DEEP = 'tables are nested too deep to be printed'
-- How the map of an error is printed.
local ERROR = {__serialize = 'mapping', __keys = {'error'}}
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

-- Let the press have what was written, and a long text behind it.
local function hand_over(c, text)
  c.number = c.number or press.begin(yaml.dialect, c.handle, c.prefix)
  press.feed(c.number, c.out:tostring())
  c.out:reset()
  if text ~= nil then
    press.feed(c.number, text)
  end
end

-- Let others run now and then.
local function give_way(c)
  local now = clock()
  if c.due == nil then
    c.due = now + SLICE
  elseif now >= c.due then
    if c.hand_over ~= nil and #c.out > LARGE then
      hand_over(c)
    end
    suspend(0)
    c.due = clock() + SLICE
  end
end

-- A document of these options; its tag has this handle and prefix, or there is none.
local function begin(options, handle, prefix)
  local pause = may_wait() and give_way or nil
  local pressed = pause ~= nil and press.is_attached and hand_over or nil
  local c = walk.context(options, yaml.dialect == 'new', pause, pressed)
  c.handle, c.prefix = handle, prefix
  return c
end

-- The text of a document.
local function finish(c)
  if c.number ~= nil or c.hand_over ~= nil and #c.out > LARGE then
    hand_over(c)
    return press.finish(c.number)
  end
  local text, problem = bridge.yaml_render(c.out:tostring(), yaml.dialect, c.handle, c.prefix)
  if text == nil then
    error(problem, 0)
  end
  return text
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

-- What a walk raises: our own texts, or what ended the fiber.
local function text_of(raised)
  if type(raised) ~= 'string' then
    return raised
  elseif find(raised, 'stack overflow', 1, true) then
    return TOO_DEEP
  end
  return (gsub(raised, '^beespace/[%w_/]+%.lua:%d+: ', ''))
end

-- Run a walk.
local function walked(put, c, ...)
  local ok, raised = pcall(put, c, ...)
  if not ok then
    if c.number ~= nil then
      press.drop(c.number)
    end
    error(text_of(raised), 0)
  end
  return c
end

-- The bytes of events, for another document.
local function events_of(...)
  local c = begin(console)
  c.hand_over = nil
  return walked(put_list, c, ...).out:tostring()
end

--- The answer with these results.
function yaml.answer(...)
  if select('#', ...) == 0 then
    return NOTHING
  end
  return plain.answer(...) or finish(walked(put_list, begin(console), ...))
end

local function is_nothing(value)
  return value == nil
end

-- What stands for an error in an answer; a pointer that points nowhere is none.
local function as_result(raised)
  local ok, nothing = pcall(is_nothing, raised)
  if ok and nothing then
    raised = nil
  end
  return setmetatable({error = raised}, ERROR)
end

--- The answer with an error, which may be any value.
function yaml.failure(raised)
  return finish(walked(put_list, begin(console), as_result(raised)))
end

--- A document that declares the tag of pushes.
function yaml.push(value)
  return finish(walked(put_one, begin(console, PUSH_HANDLE, PUSH_PREFIX), value))
end

--- One value as a document. options: all of yaml.defaults; handle and prefix declare a tag.
function yaml.encode(value, options, handle, prefix)
  return finish(walked(put_one, begin(options or yaml.defaults, handle, prefix), value))
end

--- The results of one worker, or its error when not ok, as bytes for labelled().
function yaml.stream(ok, ...)
  if ok then
    return events_of(...)
  end
  return events_of(as_result((...)))
end

--- One document of several streams: parts is a list of {label =, stream =}.
function yaml.labelled(parts)
  local c = begin(console)
  local out = c.out
  out:put(stream.SEQUENCE)
  for place = 1, #parts do
    out:put(stream.MAPPING)
    stream.text(out, parts[place].label)
    out:put(stream.SECTION, parts[place].stream, stream.MAPPING_END)
  end
  out:put(stream.SEQUENCE_END)
  return finish(c)
end

return yaml
