-- What waits in a session: input that is no whole packet yet, output that its socket did not take.
--
-- engine/sessions has the structure of a session, which points to its buffers; engine/input,
-- engine/output and engine/statements fill and empty them. Their memory is malloc's, and there only
-- while something waits.

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

ffi.cdef [[
typedef struct {
  uint8_t *input;      /* received bytes of a packet whose end has not come */
  uint32_t input_len;
  uint32_t input_cap;
  uint32_t need;       /* length of that packet with its prefix, 0 when unknown */
  uint8_t *output;     /* bytes the socket would not take yet: output[output_at .. output_len) */
  uint32_t output_at;
  uint32_t output_len;
  uint32_t output_cap;
} bee_buffers_t;
]]

local C = sys.C
local SIZE = ffi.sizeof('bee_buffers_t')

local buffers = {}

-- The buffers of a session, made when it has none; NULL when there is no memory for them.
function buffers.of(session)
  if session.buffers == nil then
    session.buffers = C.calloc(1, SIZE)
  end
  return session.buffers
end

-- Give the buffers back once nothing waits in them.
function buffers.drop_empty(session)
  local found = session.buffers
  if found ~= nil and found.input == nil and found.output == nil then
    C.free(found)
    session.buffers = nil
  end
end

-- Give them back, whatever waits; whether there were any.
function buffers.free(session)
  local found = session.buffers
  if found == nil then
    return false
  end
  C.free(found.input)
  C.free(found.output)
  C.free(found)
  session.buffers = nil
  return true
end

return buffers
