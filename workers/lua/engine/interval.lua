-- Intervals of modules/datetime: MessagePack extension 6, as typed values that keep their payload.
--
-- Called by modules/datetime, which hands is_interval and new to applications. A payload is a count
-- and then pairs of field number and integer.

local ffi = require('ffi')
local decoder = require('beespace.engine.decode')
local encoder = require('beespace.engine.encode')
local ext = require('beespace.engine.ext')

local NANO = 1000000000

local bytes_t = ffi.typeof('uint8_t[?]')
local floor = math.floor

local interval_mt = {}

local FIELDS = {
  [0] = 'year', 'month', 'week', 'day', 'hour', 'min', 'sec', 'nsec', 'adjust',
}
local NARROW = {year = true, month = true, week = true, nsec = true}
local ADJUST = {[0] = 'excess', 'none', 'last'}
local ADJUST_NUMBERS = {excess = 0, none = 1, last = 2}
local LONGEST = 127

local function is_integer_at(p, i, e)
  local c = i < e and p[i] or 0xc1
  return c < 0x80 or c >= 0xe0 or (c >= 0xcc and c <= 0xd3)
end

-- Fields of a payload by name, zero where they are missing; nil when it is not valid.
local function parse_interval(p, i, n)
  local e = i + n
  if n == 0 then
    return nil
  end
  local found = {year = 0, month = 0, week = 0, day = 0, hour = 0, min = 0, sec = 0, nsec = 0,
    adjust = 0}
  local count = p[i]
  i = i + 1
  for _ = 1, count do
    local name = i < e and FIELDS[p[i]]
    if not name or not is_integer_at(p, i + 1, e) then
      return nil
    end
    local ok, value, next_index = pcall(decoder.decode, p, i + 1, e, 0)
    if not ok or value > 9223372036854775807LL and type(value) == 'cdata' then
      return nil
    end
    value = tonumber(value)
    if (NARROW[name] and (value < -2147483648 or value > 2147483647))
       or (name == 'adjust' and ADJUST[value] == nil) then
      return nil
    end
    found[name], i = value, next_index
  end
  return i == e and found or nil
end

local interval_ctype, make_interval = ext.define(6, LONGEST, function(p, i, n)
  return parse_interval(p, i, n) ~= nil
end, interval_mt)

local function is_interval(value)
  return ffi.istype(interval_ctype, value)
end

local function fields_of(value)
  return parse_interval(ext.payload(value), 0, value.size)
end

local function totable_interval(self)
  local found = fields_of(self)
  found.adjust = ADJUST[found.adjust]
  return found
end

function interval_mt.__index(self, key)
  if key == 'totable' then
    return totable_interval
  end
  return totable_interval(self)[key]
end

-- Seconds with nanoseconds, which are brought to the same sign first.
local function seconds_text(sec, nsec, sign)
  if nsec ~= 0 and (sec * nsec < 0 or math.abs(nsec) >= NANO) then
    sec = sec + floor(nsec / NANO)
    nsec = nsec % NANO
    if sec < 0 and nsec > 0 then
      sec, nsec = sec + 1, nsec - NANO
    end
  end
  local lead = (sec < 0 or nsec < 0) and '-' or sign
  if nsec == 0 then
    return ('%s%d seconds'):format(lead, math.abs(sec))
  end
  return ('%s%d.%09d seconds'):format(lead, math.abs(sec), math.abs(nsec))
end

--- As in "+1 years, 2 months, -3 seconds": only the first one has a plus sign.
function interval_mt.__tostring(self)
  local found = fields_of(self)
  local parts = {}
  local units = {'year', 'years', 'month', 'months', 'week', 'weeks', 'day', 'days',
    'hour', 'hours', 'min', 'minutes'}
  for k = 1, #units, 2 do
    local value = found[units[k]]
    if value ~= 0 then
      parts[#parts + 1] = (#parts == 0 and '%+d %s' or '%d %s'):format(value, units[k + 1])
    end
  end
  if found.sec ~= 0 or found.nsec ~= 0 then
    parts[#parts + 1] = seconds_text(found.sec, found.nsec, #parts == 0 and '+' or '')
  end
  return #parts == 0 and '0 seconds' or table.concat(parts, ', ')
end

function interval_mt.__eq(a, b)
  if not (is_interval(a) and is_interval(b)) then
    return false
  end
  local left, right = fields_of(a), fields_of(b)
  for name, value in pairs(left) do
    if right[name] ~= value then
      return false
    end
  end
  return true
end

-- An integer field of `options` within its range; `default` when it is not there.
local function field(options, name, low, high, default)
  local value = options[name]
  if value == nil then
    return default
  end
  if type(value) ~= 'number' or value % 1 ~= 0 then
    error(('%s: integer value expected, but received %s'):format(name, type(value)), 0)
  end
  if value < low or value > high then
    error(('value %s of %s is out of allowed range [%d, %d]'):format(value, name, low, high), 0)
  end
  return value
end

-- Nanoseconds from whichever of nsec, usec and msec is there; nil when none is.
local function nanoseconds(options, low)
  local found, count = nil, 0
  for name, unit in pairs({nsec = 1, usec = 1000, msec = 1000000}) do
    if options[name] ~= nil then
      found = field(options, name, low * NANO / unit, NANO / unit, 0) * unit
      count = count + 1
    end
  end
  if count > 1 then
    error('only one of nsec, usec or msecs may be defined simultaneously', 0)
  end
  return found
end

-- The interval of nine integers by field number; zeros are not written.
local function pack_fields(values)
  local payload = bytes_t(LONGEST)
  local o = ffi.cast('uint8_t *', payload)
  local cap = encoder.limits.cap
  encoder.limits.cap = LONGEST
  local w, count = 1, 0
  for number = 0, 8 do
    if values[number] ~= 0 then
      payload[w] = number
      w = encoder.encode(o, w + 1, values[number], 0)
      count = count + 1
    end
  end
  encoder.limits.cap = cap
  payload[0] = count
  return make_interval(payload, 0, w)
end

--- An interval from a table of year, month, week, day, hour, min, sec, one of nsec, usec and msec,
-- and adjust ('none', 'excess' or 'last'); all of them optional.
local function new(options)
  options = options == nil and {} or options
  if type(options) ~= 'table' then
    error(('interval.new(): expected table, but received %s'):format(type(options)), 0)
  end
  local adjust = options.adjust == nil and 1 or ADJUST_NUMBERS[options.adjust]
  if adjust == nil then
    error(("value %s of adjust is none of 'none', 'excess', 'last'"):format(
      tostring(options.adjust)), 0)
  end
  local values = {}
  for number = 0, 8 do
    local name = FIELDS[number]
    local limit = NARROW[name] and 2147483647 or 9007199254740992
    values[number] = name == 'adjust' and adjust
      or name == 'nsec' and (nanoseconds(options, -2) or 0)
      or field(options, name, -limit, limit, 0)
  end
  return pack_fields(values)
end

return {field = field, is_interval = is_interval, nanoseconds = nanoseconds, new = new}
