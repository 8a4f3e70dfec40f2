-- Shared memory that changes in one step: two halves, and a word that says what counts.
--
--   word:  epoch (upper 32 bits; an even one uses the first half) | bytes in use (lower 32 bits)
--
-- engine/event_log and engine/triggers write where nobody reads: behind the bytes in use, or into
-- the other half. Storing the word is what makes a change happen, so a writer that is killed before
-- has changed nothing. Writers hold a lock. Readers hold none: a half is written anew only after
-- the epoch has moved on, so a copy made while the epoch stayed the same is whole.

local bit = require('bit')
local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local band, lshift, rshift = bit.band, bit.lshift, bit.rshift
local copy, floor, max, tonumber = ffi.copy, math.floor, math.max, tonumber

-- Pages of the scratch that stay.
local KEEP = 256 * 1024
local LOW = 0xffffffffULL
local u64, u64p = ffi.typeof('uint64_t'), ffi.typeof('volatile uint64_t *')

local halves = {}

-- The memory of `size` bytes at `base`, whose word is at `word_at`.
function halves.new(base, size, word_at)
  local word = ffi.cast(u64p, word_at)
  local memory = {half = floor(size / 16) * 8}
  local scratch = sys.reserve(max(memory.half, KEEP))

  -- Epoch, and bytes in use of its half.
  function memory.extent()
    local now = word[0]
    return tonumber(rshift(now, 32)), tonumber(band(now, LOW))
  end

  -- Where the half of an epoch is.
  function memory.half_of(epoch)
    return base + epoch % 2 * memory.half
  end

  -- Copy bytes of an epoch's half to the scratch, whose address is the answer; nil when the epoch
  -- is over and the bytes may be of another one.
  function memory.copy(epoch, from, length)
    copy(scratch, memory.half_of(epoch) + from, length)
    if rshift(word[0], 32) ~= epoch then
      return nil
    end
    return scratch
  end

  -- Give pages of the scratch back after `length` bytes were in it.
  function memory.done(length)
    if length > KEEP then
      sys.discard(scratch, KEEP, length)
    end
  end

  -- From now on `length` bytes of an epoch's half count.
  function memory.commit(epoch, length)
    word[0] = lshift(u64(epoch), 32) + length
  end

  return memory
end

return halves
