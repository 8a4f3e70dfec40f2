-- Whether a YAML emitter is inside of a flow collection, as its caller sees it: with a delay.
--
-- Tarantool quotes every string inside of `[...]` and `{...}`. Whether it is inside, it asks of
-- libyaml's emitter, which keeps the start of a document until one more event is there, that of a
-- sequence until two are, that of a mapping until three are, unless all that was opened is closed
-- before. Its level rises when the first item is taken out of this queue. So a string may be asked
-- about after the start was taken and before the level has risen, and stays bare. This file plays
-- the queue; engine/yaml_walk feeds it with the kind of each event and asks inside() before each
-- string.

local SCALAR, END, DOCUMENT = 0, 5, 6
local SEQUENCE, FLOW_SEQUENCE, MAPPING, FLOW_MAPPING = 1, 2, 3, 4

-- How many events beside itself the head of the queue waits for.
local NEEDS = {
  [DOCUMENT] = 1, [SEQUENCE] = 2, [FLOW_SEQUENCE] = 2, [MAPPING] = 3, [FLOW_MAPPING] = 3,
}

local flow = {
  SCALAR = SCALAR, END = END,
  SEQUENCE = SEQUENCE, FLOW_SEQUENCE = FLOW_SEQUENCE,
  MAPPING = MAPPING, FLOW_MAPPING = FLOW_MAPPING,
}

--- The state at the start of a document: queued kinds at 1..count; is_flow of each open collection
-- by depth; fresh: the innermost is in flow style, and none of its events was taken yet.
function flow.new()
  return {DOCUMENT, count = 1, level = 0, depth = 0, is_flow = {}, fresh = false}
end

local function waits(state)
  local count = state.count
  local needed = NEEDS[state[1]]
  if needed == nil or count > needed then
    return false
  end
  local open = 0
  for place = 1, count do
    local kind = state[place]
    if kind == END then
      open = open - 1
    elseif kind ~= SCALAR then
      open = open + 1
    end
    if open == 0 then
      return false
    end
  end
  return true
end

local function starts_flow(state, kind)
  return state.level > 0 or kind == FLOW_SEQUENCE or kind == FLOW_MAPPING
    or state.count > 1 and state[2] == END
end

-- Take the head out of the queue.
local function take(state)
  local kind, count = state[1], state.count
  if kind ~= DOCUMENT then
    if state.fresh then
      state.level, state.fresh = state.level + 1, false
    end
    if kind == END then
      if state.is_flow[state.depth] then
        state.level = state.level - 1
      end
      state.depth = state.depth - 1
    elseif kind ~= SCALAR then
      state.fresh = starts_flow(state, kind)
      state.depth = state.depth + 1
      state.is_flow[state.depth] = state.fresh
    end
  end
  for place = 2, count do
    state[place - 1] = state[place]
  end
  state.count = count - 1
end

--- One more event.
function flow.feed(state, kind)
  local count = state.count
  if count == 0 and kind == SCALAR and not state.fresh then
    return
  end
  state[count + 1] = kind
  state.count = count + 1
  while state.count > 0 and not waits(state) do
    take(state)
  end
end

--- Whether a string that comes next is taken for one inside of a flow collection.
function flow.inside(state)
  if state.level > 0 then
    return true
  end
  for place = 1, state.count do
    local kind = state[place]
    if kind == FLOW_SEQUENCE or kind == FLOW_MAPPING then
      return true
    end
  end
  return false
end

return flow
