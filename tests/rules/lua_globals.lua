-- Finds the globals a chunk reads and writes, from its bytecode.
--
-- Called by test_luacheck.py with a chunk's text and name; returns lines "get NAME LINE" and
-- "set NAME LINE", or nil and the error when the text does not compile. The numbers of the two
-- instructions are read from samples, so the check does not depend on the version of LuaJIT.

local bit = require('bit')
local util = require('jit.util')

local OPCODE = 0xff

local function opcode(source, pc)
  return bit.band((util.funcbc(assert(loadstring(source)), pc)), OPCODE)
end

local GET = opcode('return x', 1)
local SET = opcode('x = 1', 2)

local text, name = ...

local found = {}

local function scan(proto)
  local pc = 1
  while true do
    local instruction = util.funcbc(proto, pc)
    if instruction == nil then
      break
    end
    local op = bit.band(instruction, OPCODE)
    if op == GET or op == SET then
      local global = util.funck(proto, -bit.rshift(instruction, 16) - 1)
      local line = util.funcinfo(proto, pc).currentline
      found[#found + 1] = ('%s %s %d'):format(op == GET and 'get' or 'set', global, line)
    end
    pc = pc + 1
  end
  local k = -1
  while true do
    local constant = util.funck(proto, k)
    if constant == nil then
      break
    end
    if type(constant) == 'proto' then
      scan(constant)
    end
    k = k - 1
  end
end

local chunk, err = loadstring(text, name)
if chunk == nil then
  return nil, err
end
scan(chunk)
return table.concat(found, '\n')
