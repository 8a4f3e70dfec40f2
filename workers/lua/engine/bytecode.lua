-- What can be told of a function by its bytecode.
--
-- engine/shipping asks which globals a function reads, before it runs in another worker.

local bit = require('bit')
local util = require('jit.util')

local band, rshift = bit.band, bit.rshift
local loadstring, type = loadstring, type

local bytecode = {}

-- The opcode that reads a global; its operand says which constant is the name.
local READ_GLOBAL = band(util.funcbc(loadstring('return probe'), 1), 0xff)

local function add_read(code, found)
  local at = 1
  local instruction = util.funcbc(code, at)
  while instruction ~= nil do
    if band(instruction, 0xff) == READ_GLOBAL then
      found[util.funck(code, -rshift(instruction, 16) - 1)] = true
    end
    at = at + 1
    instruction = util.funcbc(code, at)
  end
end

local function add_all(code, found)
  add_read(code, found)
  local at = -1
  local constant = util.funck(code, at)
  while constant ~= nil do
    if type(constant) == 'proto' then
      add_all(constant, found)
    end
    at = at - 1
    constant = util.funck(code, at)
  end
end

-- Names of the globals that a Lua function reads, with those made inside of it: a set.
function bytecode.globals_of(func)
  local found = {}
  add_all(func, found)
  return found
end

return bytecode
