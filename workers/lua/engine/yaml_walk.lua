-- From Lua values to the events of a YAML document: what is a sequence, what is shared, who says
-- himself how he is printed.
--
-- Called by engine/yaml with a context (walk.context) that one document lives in; walk.value writes
-- the events of a value behind those that are there. References are looked for first, in the tables
-- as they are, what their __serialize may say left aside; the newest rules ask first, and look for
-- references in what was said. All errors are texts.
--
-- A context gives way to other fibers now and then when it has a `pause`. A table may change
-- meanwhile: what was added may be left out, what has moved may come twice.

local ask = require('beespace.engine.yaml_ask')
local flow = require('beespace.engine.yaml_flow')
local scalars = require('beespace.engine.yaml_scalars')
local stream = require('beespace.engine.yaml_stream')

local error, next, rawget, tostring, type = error, next, rawget, tostring, type
local floor = math.floor
local getmetatable = debug.getmetatable
local feed, inside, new_flow = flow.feed, flow.inside, flow.new
local SCALAR, END = flow.SCALAR, flow.END
local put_text, double, numbered = stream.text, stream.double, stream.numbered
local style_of, number_text = scalars.style, scalars.number
local PLAIN, LITERAL = scalars.PLAIN, scalars.LITERAL
local answer_of, object_answer, INVALID = ask.table, ask.object, ask.INVALID

-- Items of a sequence; indexes that are larger come from mistakes.
local MOST_ITEMS = 100000000
-- Of numbers that are written as numbers; never more, also when more or none are asked for.
local PRECISION = scalars.PRECISION
-- Values between two looks at the clock.
local STEPS = 256
-- Bytes of a text that is not copied together with others.
local LONG = 262144
-- Bytes of a text that take as long as one value more.
local BYTES = 1024

local walk = {}

--- What a document needs. options: see engine/yaml. pause(c) is called every now and then, nil
-- where nothing can wait; hand_over(c, text) takes what was written, and a text that is long.
function walk.context(options, newest, pause, hand_over)
  local digits = options.encode_number_precision
  return {
    out = stream.new(),
    flow = new_flow(),
    options = options,
    precision = digits >= 1 and digits < PRECISION and digits or PRECISION,
    newest = newest,
    pause = pause,
    hand_over = hand_over,
    steps = STEPS,
    -- By table: false met once, true more than once, a number once it was printed.
    anchors = {},
    last_anchor = -1,
    -- Newest rules: what a value has answered.
    said = {},
  }
end

local function step(c)
  local steps = c.steps - 1
  if steps > 0 then
    c.steps = steps
  else
    c.steps = STEPS
    if c.pause ~= nil then
      c.pause(c)
    end
  end
end

-- References --------------------------------------------------------------------------------------

local find_references

local function find_in(c, t, asked)
  for key, value in next, t do
    step(c)
    if type(value) == 'table' then
      find_references(c, value, asked)
    end
    if type(key) == 'table' then
      find_references(c, key, asked)
    end
  end
end

-- Note which tables are met more than once.
function find_references(c, t, asked)
  if c.newest then
    t, asked = answer_of(c, t, asked)
    if type(t) ~= 'table' then
      return
    end
  end
  local anchors = c.anchors
  local met = anchors[t]
  if met == nil then
    anchors[t] = false
    return find_in(c, t, asked)
  end
  anchors[t] = true
end

--- Look for references in one of the values that will be printed.
function walk.look_into(c, value)
  if type(value) == 'table' then
    find_references(c, value, 0)
  end
end

-- An alias for a table that was printed before; else false, and its anchor is written when it
-- has one.
local function put_alias(c, t, is_key)
  local anchor = c.anchors[t]
  if not anchor then
    return false
  elseif anchor == true then
    c.last_anchor = c.last_anchor + 1
    c.anchors[t] = c.last_anchor
    numbered(c.out, stream.ANCHOR, c.last_anchor)
    return false
  end
  numbered(c.out, is_key and stream.ALIAS_KEY or stream.ALIAS, anchor)
  feed(c.flow, SCALAR)
  return true
end

-- Scalars -----------------------------------------------------------------------------------------

local function put_event(c, event)
  c.out:put(event)
  feed(c.flow, SCALAR)
end

local function put_plain(c, text)
  if #text >= LONG and c.hand_over ~= nil then
    stream.text_head(c.out, #text)
    c.hand_over(c, text)
  else
    put_text(c.out, text)
  end
  feed(c.flow, SCALAR)
end

local function put_string(c, text, is_key)
  c.steps = c.steps - #text / BYTES
  local style = style_of(text, inside(c.flow), c.newest)
  if style ~= PLAIN then
    c.out:put(style == LITERAL and stream.LITERAL or stream.QUOTED)
  elseif text == '' and not is_key then
    c.out:put(stream.EMPTY)
    feed(c.flow, SCALAR)
    return
  end
  put_plain(c, text)
end

local function put_number(c, value)
  if not c.options.encode_invalid_numbers and (value - value ~= 0) then
    if not c.options.encode_invalid_as_nil then
      error('number must not be NaN or Inf', 0)
    end
    return put_event(c, stream.NULL)
  end
  if c.precision == PRECISION and value == value then
    double(c.out, value)
    return feed(c.flow, SCALAR)
  end
  put_plain(c, number_text(value, c.precision))
end

local put_node

-- What says nothing by itself: functions, coroutines, foreign cdata.
local function put_unknown(c, value, is_key, asked)
  local options = c.options
  if options.encode_use_tostring then
    local text = tostring(value)
    if type(text) == 'string' then
      return put_string(c, text, is_key)
    end
    return put_node(c, text, is_key, asked + 1)
  elseif options.encode_invalid_as_nil then
    return put_event(c, stream.NULL)
  end
  error("unsupported Lua type '" .. type(value) .. "'", 0)
end

-- A cdata that has a text; whether it had one.
local function put_cdata(c, value)
  local text, bytes = scalars.cdata(value, c.precision)
  if text ~= nil then
    put_plain(c, text)
  elseif bytes ~= nil then
    c.out:put(stream.BINARY)
    put_plain(c, bytes)
  end
  return text ~= nil or bytes ~= nil
end

local function put_object(c, value, is_key, asked)
  local kind = type(value)
  if scalars.is_null_uuid(value) then
    return put_string(c, tostring(value), is_key)
  elseif kind == 'cdata' and put_cdata(c, value) then
    return
  elseif kind == 'userdata' and scalars.is_null(value) then
    return put_event(c, stream.NULL)
  elseif kind == 'cdata' or kind == 'userdata' then
    local said
    said, asked = object_answer(c, value, asked)
    local answered = type(said)
    if answered ~= 'cdata' and answered ~= 'userdata' then
      return put_node(c, said, is_key, asked)
    elseif answered == 'cdata' and put_cdata(c, said) then
      return
    end
    value = said
  end
  return put_unknown(c, value, is_key, asked)
end

-- Tables ------------------------------------------------------------------------------------------

-- A number as C keeps it in 32 bits.
local function narrowed(value)
  return value < 9223372036854775808 and value % 4294967296 or 0
end

-- The length of a table without a hint; nil for a mapping.
local function length_of(c, t)
  local size, most = 0, 0
  for key in next, t do
    step(c)
    size = size + 1
    if type(key) ~= 'number' or key < 1 or floor(key) ~= key then
      return nil
    elseif key > most then
      most = narrowed(key)
    end
  end
  local options = c.options
  local ratio = options.encode_sparse_ratio
  if ratio > 0 and most > size * ratio and most > options.encode_sparse_safe then
    if not options.encode_sparse_convert then
      error('excessively sparse array', 0)
    end
    return nil
  end
  return most
end

-- The length of a table that is to be a sequence, whatever its keys are.
local function longest(c, t)
  local most = 0
  for key in next, t do
    step(c)
    if type(key) == 'number' and key > most and floor(key) == key then
      most = narrowed(key)
    end
  end
  return most
end

local function put_sequence(c, t, size, in_flow, asked)
  if size > MOST_ITEMS then
    error(('array is too long: its largest index is %.14g, the limit is %d')
      :format(size, MOST_ITEMS), 0)
  end
  c.out:put(in_flow and stream.FLOW_SEQUENCE or stream.SEQUENCE)
  feed(c.flow, in_flow and flow.FLOW_SEQUENCE or flow.SEQUENCE)
  for place = 1, size do
    put_node(c, rawget(t, place), false, asked)
  end
  c.out:put(stream.SEQUENCE_END)
  feed(c.flow, END)
end

local function put_mapping(c, t, in_flow, asked)
  c.out:put(in_flow and stream.FLOW_MAPPING or stream.MAPPING)
  feed(c.flow, in_flow and flow.FLOW_MAPPING or flow.MAPPING)
  local mt = getmetatable(t)
  local keys = mt ~= nil and rawget(mt, '__keys') or nil
  if keys ~= nil then
    for place = 1, #keys do
      put_node(c, keys[place], true, asked)
      put_node(c, rawget(t, keys[place]), false, asked)
    end
  else
    for key, value in next, t do
      put_node(c, key, true, asked)
      put_node(c, value, false, asked)
    end
  end
  c.out:put(stream.MAPPING_END)
  feed(c.flow, END)
end

local function put_table(c, value, is_key, asked)
  local t, how
  t, asked, how = answer_of(c, value, asked)
  if type(t) ~= 'table' then
    return put_node(c, t, is_key, asked)
  elseif how == 'seq' or how == 'array' or how == 'sequence' then
    local size = longest(c, t)
    return put_alias(c, t, is_key) or put_sequence(c, t, size, how == 'seq', asked)
  elseif how == 'map' or how == 'mapping' then
    return put_alias(c, t, is_key) or put_mapping(c, t, how == 'map', asked)
  elseif how ~= nil then
    error(INVALID, 0)
  end
  local size = length_of(c, t)
  if put_alias(c, t, is_key) then
    return
  elseif size ~= nil then
    return put_sequence(c, t, size, false, asked)
  end
  return put_mapping(c, t, false, asked)
end

-- The events of a value.
function put_node(c, value, is_key, asked)
  step(c)
  local kind = type(value)
  if kind == 'string' then
    return put_string(c, value, is_key)
  elseif kind == 'number' then
    return put_number(c, value)
  elseif kind == 'boolean' then
    return put_event(c, value and stream.TRUE or stream.FALSE)
  elseif kind == 'nil' then
    return put_event(c, stream.NULL)
  elseif kind == 'table' then
    return put_table(c, value, is_key, asked)
  end
  return put_object(c, value, is_key, asked)
end

--- The events of a value that has no key.
function walk.value(c, value)
  return put_node(c, value, false, 0)
end

--- The start and the end of a block sequence around values.
function walk.open(c)
  c.out:put(stream.SEQUENCE)
  feed(c.flow, flow.SEQUENCE)
end

function walk.close(c)
  c.out:put(stream.SEQUENCE_END)
  feed(c.flow, END)
end

return walk
