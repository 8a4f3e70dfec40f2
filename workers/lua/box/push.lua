-- box.session.push: something for the running request's client before its answer.
--
-- Defines box.session.push; engine/main loads this file. A console is sent a document, by
-- engine/consoles, any other client a packet. A request that has not waited writes the
-- chunk in front of its answer in the shared output, and past SOFT_OUTPUT what is there moves to
-- the session's queue; one that has waited queues it. So chunks keep their order and precede the
-- answer.

local bit = require('bit')
local ffi = require('ffi')
local const = require('beespace.engine.const')
local encode = require('beespace.engine.encode')
local errors = require('beespace.box.error')
local output = require('beespace.engine.output')
local reply = require('beespace.engine.reply')
local session = require('beespace.box.session')
local sessions = require('beespace.engine.sessions')
local state = require('beespace.engine.state')

local error, pcall, select = error, pcall, select
local u32p = ffi.typeof('uint32_t *')
local CHUNK = bit.bswap(const.type.CHUNK)
local st, cur, o = state.st, state.cur, state.output

-- Write a chunk at o+start; its end.
local function write(start, value)
  local w = reply.begin(o, start, st.sync)
  ffi.cast(u32p, o + start + 8)[0] = CHUNK
  w = reply.data_head(o, w, 1)
  return reply.finish(o, start, encode.encode(o, w, value, 0))
end

local function write_here(value)
  st.w = write(st.w, value)
  if st.w > state.SOFT_OUTPUT then
    output.later(cur.fd, o, st.w)
    st.w = 0
  end
end

local function write_late(value)
  encode.settings.error_ext = sessions.all[cur.fd].error_ext
  output.later(cur.fd, o, write(0, value))
end

local push = {
  -- Sends a value to the client of the running console; engine/consoles sets it.
  to_console = function(_) end,
  -- The same from a worker that executes its statement; engine/elsewhere sets it.
  from_elsewhere = function(_) end,
}

-- push(data): true, or nil and an error where there is nobody to send to, or where the data cannot
-- be encoded; then nothing is sent. In a console such data raises.
function session.push(...)
  if select('#', ...) ~= 1 then
    error('Usage: box.session.push(data)', 0)
  end
  if cur.id == 0 then
    return nil, errors.client('UNSUPPORTED', "Session 'background'", 'push()')
  elseif cur.fd < 0 and not session.closed() then
    return push.from_elsewhere((...))
  elseif session.closed() or sessions.all[cur.fd].mode == sessions.LINGERS then
    return nil, errors.client('SESSION_CLOSED')
  elseif output.is_kept_out(cur.fd) then
    return nil, errors.client('UNSUPPORTED', 'A session', 'push() before its greeting')
  elseif encode.settings.asking ~= 0 then
    error('a value cannot be pushed while another one is written', 0)
  end
  if sessions.all[cur.fd].mode == sessions.CONSOLE then
    push.to_console((...))
    return true
  end
  local ok, raised = pcall(st.away == 0 and write_here or write_late, (...))
  if not ok then
    return nil, errors.from(raised)
  elseif session.closed() then
    return nil, errors.client('SESSION_CLOSED')
  end
  return true
end

return push
