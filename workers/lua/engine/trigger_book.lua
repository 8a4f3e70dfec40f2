-- The book of triggers: what engine/triggers keeps in the segment, for all workers.
--
--   book    {next = number of the next entry, apps = {[generation, as a text] = lists as that
--            loading of the application made them, as a text}, events = {[event] = list}}
--                                                              MessagePack, in engine/halves
--   list    entries, newest first
--   entry   {id, name, bytes of the function, none for the application's own}
--
-- read() takes no lock. change() holds it while a book is read, edited and written, so changes that
-- several workers make at once come one after the other. What it writes counts at once or, when
-- this process dies meanwhile, not at all.

local codec = require('beespace.engine.codec')
local ffi = require('ffi')
local halves = require('beespace.engine.halves')
local locks = require('beespace.engine.locks')
local shared = require('beespace.engine.table')

local error, tonumber = error, tonumber
local NAME = 'the triggers'
-- Reads that may meet two changes before a reader takes the lock.
local TRIES = 16

local trigger_book = {}

local header, memory

-- Use the memory of the segment that engine/table is attached to.
function trigger_book.attach()
  header = shared.header
  local base = ffi.cast('uint8_t *', header)
  memory = halves.new(base + tonumber(header.triggers_offset), tonumber(header.triggers_size),
    base + ffi.offsetof('bee_header_t', 'trigger_generation'))
end

-- A book and the word it was read at; nil when it was given up meanwhile.
local function try_to_read()
  local word = header.trigger_generation
  local epoch, length = memory.extent()
  if length == 0 then
    return {next = 1, apps = {}, events = {}}, word
  end
  local bytes = memory.copy(epoch, 0, length)
  local text = bytes ~= nil and ffi.string(bytes, length)
  memory.done(length)
  if not text or header.trigger_generation ~= word then
    return nil
  end
  return (codec.unpack(text)), word
end

-- The newest book, and the word of the segment that stands for it.
function trigger_book.read()
  for _ = 1, TRIES do
    local book, word = try_to_read()
    if book ~= nil then
      return book, word
    end
  end
  -- Who changes it again and again gives the lock back in between.
  return locks.guarded(header.trigger_lock, NAME, try_to_read)
end

local function write(book)
  local packed = codec.pack(book)
  if #packed > memory.half then
    error(('no room for the triggers: they take %d bytes, at most %d are there')
      :format(#packed, memory.half), 0)
  end
  local epoch = memory.extent() + 1
  ffi.copy(memory.half_of(epoch), packed, #packed)
  memory.commit(epoch, #packed)
end

local function edit_and_write(edit)
  local book = try_to_read()
  local result = edit(book)
  if result then
    write(book)
  end
  return result, book, header.trigger_generation
end

-- Let `edit(book)` change the newest book, unless it returns false: what it returned, the book, and
-- the word that stands for it. It must not wait. An error of it is raised, and nothing has changed.
function trigger_book.change(edit)
  return locks.guarded(header.trigger_lock, NAME, edit_and_write, edit)
end

return trigger_book
