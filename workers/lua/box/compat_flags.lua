-- Switches of behaviour that the request path reads: 0 = old, 1 = new.
--
-- Written by engine/main from the settings and by modules/compat; a field of an FFI structure, so
-- that compiled code reads one byte.

local ffi = require('ffi')

return ffi.new('struct { uint8_t session_results, fiber_user, session_su; }', {0, 1, 1})
