-- Strict globals: require('strict'). on(): code that reads a global nobody has set, or sets a new
-- one inside a function, gets an error; off(): it does no longer.
--
-- It speaks of the globals of this worker. A chunk may set new ones outside of its functions, and
-- what was set once, nil as well, may be read.

local getinfo = debug.getinfo
local error, getmetatable, rawset, setmetatable = error, getmetatable, rawset, setmetatable
local globals = _G

local strict = {}

-- What the code that touches the global is: 'main' of a chunk, 'Lua' or 'C'.
local function toucher()
  local at = getinfo(3, 'S')
  return at and at.what or 'C'
end

-- Turn it on.
function strict.on()
  local metatable = getmetatable(globals)
  if metatable == nil then
    metatable = {}
    setmetatable(globals, metatable)
  end
  local declared = {}

  function metatable.__newindex(map, name, value)
    if not declared[name] then
      local what = toucher()
      if what ~= 'main' and what ~= 'C' then
        error(("assign to undeclared variable '%s'"):format(name), 2)
      end
      declared[name] = true
    end
    rawset(map, name, value)
  end

  function metatable.__index(_, name)
    if not declared[name] and toucher() ~= 'C' then
      error(("variable '%s' is not declared"):format(name), 2)
    end
    return nil
  end
end

-- Turn it off.
function strict.off()
  setmetatable(globals, nil)
end

return strict
