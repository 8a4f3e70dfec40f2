-- Counters of all workers as box.stat shows them: since the last reset, and how fast they grow.
--
--   engine/chores --> tick(), every second: what each counter of each row has grown by
--   box/stat      --> total(), growth()
--   box.stat.reset() in any worker --> reset(): the rows' `bases`, and header.stat_reset
--
-- A rate is the mean of the last SECONDS whole seconds, as Tarantool's: it is 0 in the first second
-- and full after SECONDS. Every worker keeps the rates of all for itself, from when it began; the
-- bases are in the segment, so that all show the same totals. The counters themselves never go
-- back: who reads the segment does not notice a reset.

local ffi = require('ffi')
local shared = require('beespace.engine.table')
local state = require('beespace.engine.state')
local sys = require('beespace.engine.sys')

local floor, max, min = math.floor, math.max, math.min
local tonumber = tonumber
local st = state.st
local CLOCK = sys.CLOCK_MONOTONIC
local SECONDS = 5
-- A second that is shorter would make too much of what it has counted.
local LEAST = 0.9

local REQUESTS, CALLS, EVALS, SELECTS, AUTHS, ERRORS = 0, 1, 2, 3, 4, 5
local BYTES_IN, BYTES_OUT, ASSIGNED, QUEUED, STREAMS = 6, 7, 8, 9, 10
local COUNTERS = 11

local rates = {
  REQUESTS = REQUESTS,
  CALLS = CALLS,
  EVALS = EVALS,
  SELECTS = SELECTS,
  AUTHS = AUTHS,
  ERRORS = ERRORS,
  BYTES_IN = BYTES_IN,
  BYTES_OUT = BYTES_OUT,
  -- Sessions that a worker was given.
  ASSIGNED = ASSIGNED,
  -- Requests that had to wait for their stream, and times that a stream began to have requests.
  QUEUED = QUEUED,
  STREAMS = STREAMS,
}

-- Rows; their counters when they were looked at last; for each counter what it grew by in a second,
-- SECONDS times, and how many rows of these there are.
local rows, last, grown = 0, nil, nil
-- When that was, and which of the SECONDS is written next; the reset that is known.
local looked, turn, known = 0, 0, 0
local now_there = ffi.new('double[?]', COUNTERS)

-- Write the counters of a row to `into`.
local function read(row, into)
  into[REQUESTS], into[CALLS], into[EVALS] = row.requests, row.calls, row.evals
  into[SELECTS], into[AUTHS], into[ERRORS] = row.selects, row.auths, row.errors
  into[BYTES_IN], into[BYTES_OUT] = row.bytes_in, row.bytes_out
  into[ASSIGNED], into[QUEUED], into[STREAMS] = row.assigned, row.queued_ever, row.streams_ever
end

-- What the batch at hand has counted, which is not in this worker's row yet.
local batch = {
  [REQUESTS] = function()
    return st.pings + st.calls + st.evals + st.selects + st.auths + st.others
  end,
  [CALLS] = function() return st.calls end,
  [EVALS] = function() return st.evals end,
  [SELECTS] = function() return st.selects end,
  [AUTHS] = function() return st.auths end,
  [ERRORS] = function() return st.errors end,
}

local function of_batch(counter)
  local count = batch[counter]
  return count and count() or 0
end

-- There are no rates yet.
local function begin()
  ffi.fill(grown, ffi.sizeof('double') * rows * COUNTERS * SECONDS)
  turn, known = 0, shared.header.stat_reset
end

-- Some worker has reset everything: the second at hand counts from there.
local function begin_again()
  for index = 0, rows - 1 do
    local bases = shared.rows[index].bases
    for counter = 0, COUNTERS - 1 do
      last[index * COUNTERS + counter] = bases[counter]
    end
  end
  begin()
end

-- Look at the segment, which has to be attached.
function rates.attach()
  rows = tonumber(shared.header.workers)
  rates.memory = ffi.new('double[?]', rows * COUNTERS * (SECONDS + 1))
  last = rates.memory + 0
  grown = last + rows * COUNTERS
  for index = 0, rows - 1 do
    read(shared.rows[index], last + index * COUNTERS)
  end
  looked = sys.clock(CLOCK)
  begin()
end

-- Note what a row's counters have grown by each second, in the next `seconds` places.
local function note(index, each, seconds)
  local before = last + index * COUNTERS
  read(shared.rows[index], now_there)
  for counter = 0, COUNTERS - 1 do
    local growth = max(now_there[counter] - before[counter], 0) / each
    before[counter] = now_there[counter]
    local places = grown + (index * COUNTERS + counter) * SECONDS
    for second = 0, seconds - 1 do
      places[(turn + second) % SECONDS] = growth
    end
  end
end

-- Another second, or more, is over at `now`, monotonic seconds.
function rates.tick(now)
  if shared.header.stat_reset ~= known then
    begin_again()
  end
  local passed = now - looked
  if passed < LEAST then
    return
  end
  -- A worker that was busy for some seconds has missed some looks.
  local seconds = min(max(floor(passed + 0.5), 1), SECONDS)
  for index = 0, rows - 1 do
    note(index, passed, seconds)
  end
  turn = (turn + seconds) % SECONDS
  looked = now
end

-- A counter of the row at `index`, since the last reset.
function rates.total(counter, index)
  local row = shared.rows + index
  read(row, now_there)
  local count = now_there[counter] - tonumber(row.bases[counter])
  if row == shared.row then
    count = count + of_batch(counter)
  end
  return max(count, 0)
end

-- What a counter of the row grew by in the last SECONDS, all together; divided by them it is the
-- rate.
function rates.growth(counter, index)
  local places, sum = grown + (index * COUNTERS + counter) * SECONDS, 0
  for second = 0, SECONDS - 1 do
    sum = sum + places[second]
  end
  return sum
end

-- Let everything count from 0, in all workers.
function rates.reset()
  for index = 0, rows - 1 do
    local row = shared.rows + index
    read(row, now_there)
    for counter = 0, COUNTERS - 1 do
      row.bases[counter] = now_there[counter] + (row == shared.row and of_batch(counter) or 0)
    end
  end
  shared.header.stat_reset = sys.clock(CLOCK)
  begin_again()
end

rates.SECONDS = SECONDS

return rates
