-- The application of the wire tests: functions the corpus calls by name. They return what they
-- were given, so that an answer shows what arrived.

local function named(name)
  return function(...) return name, ... end
end

-- luacheck: globals echo count run fail mod obj arr lazy
function echo(...) return ... end

function count(...) return select('#', ...) end

function run(source, ...) return assert(loadstring(source, '=run'))(...) end

function fail(text) error(text) end

-- A table whose functions show that they were given the table as first argument.
local function shown(name, members)
  return setmetatable(members, {__serialize = function() return {name = name} end})
end

mod = shown('mod', {
  sub = shown('sub', {f = named('mod.sub.f')}),
  m = named('mod.m'),
  callable = setmetatable({}, {__call = function(self, ...) return type(self), ... end}),
  notf = 5,
  tbl = {},
  list = {{f = named('list 1')}, {f = named('list 2')}},
})

obj = {get = function(self, ...) return self == obj and 'obj' or 'not obj', ... end}

arr = {named('arr 1'), ['a.b'] = named('arr a.b')}

lazy = setmetatable({}, {__index = function(_, key) return named('lazy ' .. key) end})

_G['we.ird'] = named('we.ird')

box.iproto.export('exported', named('exported'))
box.iproto.export('mod.m.exported:name [1]', named('odd'))
hidden = {f = named('hidden.f')}
box.iproto.export('hidden', named('before the global'))

box.broadcast('wire key', {1, 'two', {x = box.NULL}})
