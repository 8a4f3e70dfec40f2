-- Why something did not reach another session, as an error for applications.
--
-- engine/inbox and engine/letters say why by a word; box/inbox returns the error that belongs to
-- it, box/iproto raises it.

local errors = require('beespace.box.error')

local undelivered = {}

-- Makers of errors by word.
local by_reason = {
  none = function(id) return errors.client('NO_SUCH_SESSION', id) end,
  closed = function() return errors.client('SESSION_CLOSED') end,
  console = function() return errors.client('WRONG_SESSION_TYPE', 'console') end,
  early = function()
    return errors.client('UNSUPPORTED', 'A session', 'packets before its greeting')
  end,
  full = function(id)
    return errors.client('PROC_LUA', ('the inbox of session %.0f is full'):format(id))
  end,
  busy = function(id)
    return errors.client('PROC_LUA', ('the worker of session %.0f does not keep up'):format(id))
  end,
}

-- The error for the session `id` and one of the words above.
function undelivered.error(reason, id)
  return by_reason[reason](id)
end

return undelivered
