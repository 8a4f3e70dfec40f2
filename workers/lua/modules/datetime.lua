-- Module `datetime`: moments (MessagePack extension 4) and intervals (extension 6).
--
-- Called by applications and by engine/codec; engine/interval has the intervals. Values keep their
-- payload and cannot be changed; the fields are worked out on access. A moment is seconds since
-- 1970 in UTC plus nanoseconds, and an offset in minutes that only says how to print it. Time zone
-- names are kept (tzindex) but not known; there is no parsing, no strftime, no date arithmetic.

local ffi = require('ffi')
local ext = require('beespace.engine.ext')
local interval = require('beespace.engine.interval')
local sys = require('beespace.engine.sys')

local DAY = 86400
local MIN_EPOCH, MAX_EPOCH = -185604722870400, 185480451417600
local MAX_NSEC = 2000000000
local NANO = 1000000000

local i64_ptr, i32_ptr = ffi.typeof('const int64_t *'), ffi.typeof('const int32_t *')
local i16_ptr = ffi.typeof('const int16_t *')
local moment_t = ffi.typeof('struct { int64_t epoch; int32_t nsec; int16_t offset, index; }')
local floor = math.floor

local field, nanoseconds = interval.field, interval.nanoseconds

local moment_mt = {}

-- epoch, nsec, tzoffset, tzindex of a payload of 8 or 16 bytes.
local function read_moment(p, i, n)
  local epoch = tonumber(ffi.cast(i64_ptr, p + i)[0])
  if n == 8 then
    return epoch, 0, 0, 0
  end
  local tail = ffi.cast(i16_ptr, p + i + 12)
  return epoch, ffi.cast(i32_ptr, p + i + 8)[0], tail[0], tail[1]
end

local moment_ctype, make_moment = ext.define(4, 16, function(p, i, n)
  if n ~= 8 and n ~= 16 then
    return false
  end
  local epoch, nsec, offset, index = read_moment(p, i, n)
  return epoch >= MIN_EPOCH and epoch <= MAX_EPOCH and nsec >= 0 and nsec < MAX_NSEC
    and offset >= -720 and offset <= 840 and index >= 0 and index <= 1024
end, moment_mt)

local function is_datetime(value)
  return ffi.istype(moment_ctype, value)
end

local function build_moment(epoch, nsec, offset)
  local raw = ffi.new(moment_t, epoch, nsec, offset, 0)
  local size = (nsec ~= 0 or offset ~= 0) and 16 or 8
  return make_moment(ffi.cast('const uint8_t *', raw), 0, size)
end

-- Year, month and day of a day counted from 1970-01-01, in eras of 400 years from March on.
local function civil(day)
  local shifted = day + 719468
  local era = floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524)
    - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * of_year + 2) / 153)
  local date = of_year - floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, date
end

-- The inverse of civil.
local function day_number(year, month, date)
  if month <= 2 then
    year = year - 1
  end
  local era = floor(year / 400)
  local of_era = year - era * 400
  local of_year = floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5) + date - 1
  return era * 146097 + of_era * 365 + floor(of_era / 4) - floor(of_era / 100) + of_year - 719468
end

local function days_in_month(year, month)
  local next_year = month == 12 and year + 1 or year
  return day_number(next_year, month % 12 + 1, 1) - day_number(year, month, 1)
end

--- All fields of a moment as a table, in its own offset.
local function totable(self)
  local epoch, nsec, offset, index = read_moment(ext.payload(self), 0, self.size)
  local there = epoch + offset * 60
  local day = floor(there / DAY)
  local second = there - day * DAY
  local year, month, date = civil(day)
  return {
    year = year, month = month, day = date,
    hour = floor(second / 3600), min = floor(second / 60) % 60, sec = second % 60,
    nsec = nsec, tzoffset = offset, tzindex = index,
    wday = (day + 4) % 7 + 1, yday = day - day_number(year, 1, 1) + 1,
  }
end

local function fraction(nsec)
  if nsec == 0 then
    return ''
  elseif nsec % 1000000 == 0 then
    return ('.%03d'):format(nsec / 1000000)
  elseif nsec % 1000 == 0 then
    return ('.%06d'):format(nsec / 1000)
  end
  return ('.%09d'):format(nsec)
end

--- ISO 8601, e.g. 1970-01-01T00:00:00Z or 2024-02-29T12:00:00.500+0300.
local function format(self)
  local t = totable(self)
  local zone = 'Z'
  if t.tzoffset ~= 0 then
    local minutes = math.abs(t.tzoffset)
    zone = ('%s%02d%02d'):format(t.tzoffset < 0 and '-' or '+', floor(minutes / 60), minutes % 60)
  end
  return ('%04d-%02d-%02dT%02d:%02d:%02d%s%s'):format(
    t.year, t.month, t.day, t.hour, t.min, t.sec, fraction(t.nsec), zone)
end

local moment_methods = {format = format, totable = totable}

function moment_mt.__index(self, key)
  local method = moment_methods[key]
  if method ~= nil then
    return method
  end
  local epoch, nsec = read_moment(ext.payload(self), 0, self.size)
  if key == 'epoch' then
    return epoch
  elseif key == 'timestamp' then
    return epoch + nsec / NANO
  elseif key == 'usec' then
    return floor(nsec / 1000)
  elseif key == 'msec' then
    return floor(nsec / 1000000)
  end
  return totable(self)[key]
end

-- Negative, 0 or positive.
local function compare(a, b)
  if not (is_datetime(a) and is_datetime(b)) then
    error('incompatible types for datetime comparison', 0)
  end
  local difference = a.epoch - b.epoch
  return difference ~= 0 and difference or a.nsec - b.nsec
end

moment_mt.__tostring = format
moment_mt.__eq = function(a, b)
  return is_datetime(a) and is_datetime(b) and compare(a, b) == 0
end
moment_mt.__lt = function(a, b)
  return compare(a, b) < 0
end
moment_mt.__le = function(a, b)
  return compare(a, b) <= 0
end

local function zone_offset(value)
  if type(value) == 'string' then
    local sign, hours, minutes = value:match('^([+-])(%d%d):?(%d?%d?)$')
    if sign == nil or #minutes == 1 then
      if value ~= 'Z' then
        error(('invalid time-zone format %s'):format(value), 0)
      end
      return 0
    end
    value = (tonumber(hours) * 60 + (tonumber(minutes) or 0)) * (sign == '-' and -1 or 1)
  end
  return field({tzoffset = value}, 'tzoffset', -720, 840, 0)
end

local function from_timestamp(options, nsec, offset)
  for _, name in ipairs({'year', 'month', 'day', 'hour', 'min', 'sec'}) do
    if options[name] ~= nil then
      error(('timestamp is not allowed if %s provided'):format(name), 0)
    end
  end
  local stamp = options.timestamp
  if type(stamp) ~= 'number' or not (stamp >= MIN_EPOCH and stamp <= MAX_EPOCH) then
    error(("bad timestamp ('number' expected, got '%s')"):format(tostring(stamp)), 0)
  end
  local whole = floor(stamp)
  if nsec ~= nil and whole ~= stamp then
    error('only integer values allowed in timestamp if nsec, usec, or msecs provided', 0)
  end
  return build_moment(whole - offset * 60, nsec or floor((stamp - whole) * NANO), offset)
end

--- A moment from a table of year, month, day, hour, min, sec (or timestamp), one of nsec, usec and
-- msec, and tzoffset (minutes, or a string as +0300); all of them optional.
local function new(options)
  if options == nil then
    return build_moment(0, 0, 0)
  elseif type(options) ~= 'table' then
    error(('datetime.new(): expected table, but received %s'):format(type(options)), 0)
  end
  local offset = zone_offset(options.tzoffset)
  local nsec = nanoseconds(options, 0)
  if options.timestamp ~= nil then
    return from_timestamp(options, nsec, offset)
  end
  local year = field(options, 'year', -5879609, 5879610, 1970)
  local month = field(options, 'month', 1, 12, 1)
  local last = days_in_month(year, month)
  local date = field(options, 'day', -1, 31, 1)
  if date == -1 then
    date = last
  elseif date < 1 or date > last then
    error(('invalid number of days %d in month %d for %d'):format(date, month, year), 0)
  end
  local seconds = field(options, 'hour', 0, 23, 0) * 3600 + field(options, 'min', 0, 59, 0) * 60
    + field(options, 'sec', 0, 60, 0)
  local epoch = day_number(year, month, date) * DAY + seconds - offset * 60
  return build_moment(epoch, nsec or 0, offset)
end

--- The moment of the system's clock, with the offset of its time zone.
local function now()
  local time = ffi.new('bee_timespec')
  sys.C.clock_gettime(sys.CLOCK_REALTIME, time)
  local epoch = tonumber(time.sec)
  return build_moment(epoch, floor(tonumber(time.nsec) / 1000) * 1000,
    zone_offset(os.date('%z', epoch)))
end

return {
  interval = {is_interval = interval.is_interval, new = interval.new},
  is_datetime = is_datetime,
  new = new,
  now = now,
}
