-- Tables from the steps by which workers/reading.py tells what a YAML text says.
--
-- Called by modules/yaml. A step is a value, or a table {what[, anchor]}; a table that has begun
-- waits on a stack for its values, so that it can be a key, be named before it has ended, and hold
-- itself. Decoded tables are printed in flow style: they carry the hints of engine/decode.

local ffi = require('ffi')
local codec = require('beespace.engine.codec')
local decode = require('beespace.engine.decode')

local error, istype, rawset = error, ffi.istype, rawset
local setmetatable, type = setmetatable, type
local cast, int64_t, uint64_t = ffi.cast, ffi.typeof('int64_t'), ffi.typeof('uint64_t')
local map_mt, seq_mt, NULL = decode.map_mt, decode.seq_mt, decode.NULL

local DOCUMENT, SEQUENCE, MAPPING, END, SCALAR, ALIAS = 1, 2, 3, 4, 5, 6
local LARGEST = 9223372036854775807ULL

-- Put a value where it belongs: into the innermost table, or among the documents.
local function put(state, value)
  local top = state.depth
  local target = state[top]
  if not state.is_map[top] then
    local size = state.size[top] + 1
    state.size[top] = size
    rawset(target, size, value)
  elseif type(state.key[top]) == 'nil' then
    if value ~= value then
      error('table index is NaN', 0)
    end
    state.key[top] = value
  else
    rawset(target, state.key[top], value)
    state.key[top] = nil
  end
end

local function begin(state, is_map, hints)
  local made = {}
  if hints then
    setmetatable(made, is_map and map_mt or seq_mt)
  end
  local top = state.depth + 1
  state.depth, state[top], state.is_map[top] = top, made, is_map
  state.size[top], state.key[top] = 0, nil
  return made
end

-- One step that is no value.
local function take(state, step, hints)
  local what, anchor = step[1], step[2]
  if what == DOCUMENT then
    state.anchors = {}
  elseif what == END then
    local made = state[state.depth]
    state.depth = state.depth - 1
    put(state, made)
  elseif what == SCALAR then
    state.named = anchor
  elseif what == ALIAS then
    local value = state.anchors[anchor]
    if value == nil then
      error('invalid reference: ' .. anchor, 0)
    end
    put(state, value)
  elseif what == SEQUENCE or what == MAPPING then
    local made = begin(state, what == MAPPING, hints)
    if anchor ~= nil then
      state.anchors[anchor] = made
    end
  end
end

local function scalar(state, value)
  if istype(uint64_t, value) and value <= LARGEST then
    value = cast(int64_t, value)
  end
  if state.named ~= nil then
    state.anchors[state.named] = value
    state.named = nil
  end
  put(state, value)
end

--- The values of the documents, and their number. hints: whether tables carry them.
local function build(packed, hints)
  local steps = codec.unpack(packed)
  local state = {depth = 0, is_map = {}, size = {}, key = {}, anchors = {}}
  local documents = {}
  state[0], state.is_map[0], state.size[0] = documents, false, 0
  for place = 1, #steps do
    local step = steps[place]
    if type(step) == 'table' then
      take(state, step, hints)
    else
      scalar(state, step == nil and NULL or step)
    end
  end
  return documents, state.size[0]
end

return {build = build}
