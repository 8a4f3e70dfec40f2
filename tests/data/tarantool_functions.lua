-- Writes what Tarantool says to box.schema.func, box.func and box.once, for
-- tests/workers/lua/test_schema_func_facts.py:
--
--   cd EMPTY_FOLDER && tarantool .../tarantool_functions.lua > .../tarantool_functions.json
--
-- Pieces of Lua are run one after the other, each with the rights of a user; what was made by one
-- is there for the next. A line of the answer is [user, source, results], or
-- [user, source, null, {code, text}]. In a piece `user` and `func` are the parts of box.schema.
-- Not asked on purpose: an option in `opts` that does not exist, which ends Tarantool 2.6.

local json = require('json')

box.cfg{log = 'log', wal_mode = 'none'}

local steps = {}

local function ask(who, ...)
  for _, source in ipairs({...}) do
    steps[#steps + 1] = {who, source}
  end
end

-- What is given.
ask('admin', "func.create('x', 5)", "func.create('x', {foo = 1})", "func.create('')",
  "func.create('a\\nb')", "func.create(('x'):rep(65001))", 'func.create()', 'func.create(5)',
  'func.create({})')
for _, option in ipairs({'setuid', 'if_not_exists', 'is_deterministic', 'is_sandboxed', 'language',
                         'body', 'comment', 'returns', 'param_list', 'exports', 'opts'}) do
  ask('admin', ("func.create('x', {%s = 5})"):format(option))
end
ask('admin', "func.create('x', {language = 'python'})", "func.create('x', {language = ''})",
  "func.create('x', {returns = 'foo'})", "func.create('x', {exports = {'foo'}})",
  "func.create('x', {param_list = {'foo'}})", "func.create('x', {is_sandboxed = true})",
  "func.create('x', {language = 'C', body = 'x'})",
  "func.create('x', {language = 'C', is_sandboxed = true})",
  "func.create('x', {body = 'function('})", "func.create('x', {body = '5'})",
  "func.create('x', {body = 'error(1)'})", "func.create('x', {body = '\\27LJ'})",
  "func.create('x', {is_sandboxed = true, body = '(function() return box end)()'})",
  "return func.exists('x')")

-- Made, looked at, called.
ask('admin', "return func.create('add', {body = 'function(a, b) return a + b end'})",
  "func.create('add')", "func.create('add', {if_not_exists = true})",
  "func.create('add', {if_not_exists = true, body = 'function('})",
  "return func.exists('add'), func.exists('nosuch'), func.exists(7777), func.exists(true)",
  'return func.exists(), func.exists(nil), func.exists({})',
  'return func.exists(box.func.add.id)',
  "func.create('lower', {language = 'lua'})", 'return box.func.lower.language',
  "func.create('inc', {language = 'c'})", 'return box.func.inc.language, box.func.inc.body',
  "func.create('many', {opts = {is_multikey = true}, body = 'function() end'})",
  "func.create('full', {exports = {'LUA', 'SQL'}, param_list = {'string', 'ANY'}, "
    .. "returns = 'STRING', is_deterministic = true, is_sandboxed = true, comment = 'text', "
    .. "body = 'function() end'})")
for _, name in ipairs({'add', 'lower', 'inc', 'many', 'full'}) do
  ask('admin', ([[
    local fields = {}
    for name, value in pairs(box.func.%s) do
      if name ~= 'id' then
        fields[name] = value
      end
    end
    return fields
  ]]):format(name))
end
ask('admin', 'return box.func.nosuch, box.func[7777]',
  'return box.func[box.func.add.id] == box.func.add', 'return type(box.func)',
  'return box.func.add:call({1, 2})', 'return box.func.add:call({1, 2}, 3)',
  'return box.func.add:call(1, 2)', 'return box.func.add.call({1, 2})',
  'return box.func.add.call()',
  'return box.func.add.call(5, {})', 'return box.func.add.drop()', 'return box.func.add:call()',
  "return func.call('add', 1, 2)", "return func.call('nosuch')", 'return func.call(7777)',
  'return func.call()', 'return func.call({})', "return func.call('inc')",
  "func.create('lib.deep.inc', {language = 'C'})", "return func.call('lib.deep.inc')",
  "return box.func['lib.deep.inc']:call()",
  "func.create('later')", "return func.call('later')", 'return box.func.later:call()',
  "later = function(...) return 'now', ... end", "return func.call('later', 1)",
  "later = {}", "return func.call('later', 1)",
  "func.create('boom', {body = 'function() error(\"boom\") end'})", "return func.call('boom')",
  "func.create('count', {body = '(function() local n = 0 "
    .. "return function() n = n + 1 return n end end)()'})",
  "return func.call('count')", "return func.call('count')",
  "func.create('dotted.f', {body = 'function() return 8 end'})", "return func.call('dotted.f')",
  "func.create('object:get')",
  "object = {get = function(self, ...) return self == object, ... end}",
  "return func.call('object:get', 1)",
  "func.reload('nosuch')", "func.reload('inc')", "func.reload(5)")

-- What a sandbox shows.
for _, name in ipairs({'_G', '_VERSION', 'assert', 'bit', 'box', 'collectgarbage', 'coroutine',
                       'debug', 'dofile', 'error', 'ffi', 'fiber', 'getfenv', 'getmetatable', 'io',
                       'ipairs', 'jit', 'load', 'loadstring', 'math', 'module', 'next', 'os',
                       'package', 'pairs', 'pcall', 'print', 'rawequal', 'rawget', 'rawset',
                       'require', 'select', 'setfenv', 'setmetatable', 'string', 'table',
                       'tonumber', 'tonumber64', 'tostring', 'type', 'unpack', 'xpcall'}) do
  ask('admin',
    ("func.create('see', {is_sandboxed = true, body = 'function() return type(%s) end'})")
    :format(name), "return func.call('see')", "func.drop('see')")
end
ask('admin', "func.create('set', {is_sandboxed = true, body = 'function() own = 1 string.own = 2 "
    .. "return own, string.own end'})", "return func.call('set')",
  "func.create('get', {is_sandboxed = true, body = 'function() "
    .. "return own == nil, string.own == nil end'})", "return func.call('get')",
  'return own == nil, string.own == nil')

-- Dropped.
ask('admin', 'func.drop()', "func.drop('nosuch')", 'func.drop(7777)',
  "func.drop('nosuch', {if_exists = true})", "func.drop('nosuch', {foo = true})",
  "func.drop('nosuch', 5)", 'func.drop({})', 'old = box.func.add', "return func.drop('add')",
  'return box.func.add', 'return old:call({1, 2})', 'return old:drop()',
  'return box.func.inc:drop()', "return func.exists('inc')")

-- Rights.
ask('admin', "user.create('lim')", "user.create('own')", "user.create('gone')",
  "user.revoke('gone', 'usage', 'universe')",
  "who = function() return box.session.user(), box.session.effective_user() end",
  "func.create('admins', {setuid = true, body = 'function() return box.session.user(), "
    .. "box.session.effective_user() end'})",
  "func.create('plain', {body = 'function() return box.session.user(), "
    .. "box.session.effective_user() end'})",
  "func.create('who', {setuid = true})", "func.create('kept')")
ask('lim', "func.create('y')", "func.create('admins')",
  "func.create('admins', {if_not_exists = true})", "func.create('y', {foo = 1})",
  "func.create('y', {body = 'function('})", "return func.exists('admins')",
  'return box.func.admins ~= nil', "return func.call('admins')", 'return box.func.admins:call()',
  "return func.call('nosuch')", "func.drop('admins')", "func.drop('nosuch')",
  "func.drop('admins', {if_exists = true})", 'box.func.admins:drop()', "func.reload('nosuch')",
  "box.once('key', print)")
ask('gone', "func.create('y')", "return func.call('admins')")
for _, name in ipairs({'admins', 'plain', 'who', 'kept'}) do
  ask('admin', ("user.grant('lim', 'execute', 'function', '%s')"):format(name))
end
ask('lim', "return func.exists('admins')", "return func.call('admins')",
  "return func.call('plain')",
  "return func.call('who')", 'return box.func.who:call()', "return func.call('kept')")
ask('admin', "user.revoke('lim', 'execute', 'function', 'plain')")
ask('lim', "return func.call('plain')", "return func.exists('plain')")
ask('admin', "user.grant('own', 'create', 'universe')")
ask('own', "func.create('owned')")
ask('admin', "user.grant('own', 'read', 'space', '_func')")
ask('own', "func.create('owned')", "func.create('plain')", "return func.exists('plain')")
ask('admin', "user.grant('own', 'write', 'space', '_func')",
  "user.grant('own', 'read,write', 'space', '_priv')")
ask('own', "func.create('owned', {setuid = true, body = 'function() return box.session.user(), "
  .. "box.session.effective_user() end'})", "return func.call('owned')",
  "func.create('z', {body = 'function('})", "func.drop('plain')")
ask('admin', "user.revoke('own', 'create', 'universe')", "user.grant('lim', 'execute', 'function')")
ask('lim', "return func.call('owned')", "func.drop('owned')")
ask('own', "func.create('owned2')", "func.create('z', {language = 'x'})",
  "func.create('z', {body = 'function('})", "func.drop('owned')", "return func.exists('owned')")
ask('admin', "user.grant('own', 'create', 'function')")
ask('own', "func.create('owned2')", 'box.func.owned2:drop()')
ask('admin', "user.create('dropper')", "user.grant('dropper', 'drop', 'universe')")
ask('dropper', "return func.exists('kept')", "func.drop('kept')")
ask('admin', "user.grant('dropper', 'read,write', 'universe')")
ask('dropper', "func.drop('count')", "return func.exists('count')")
for _, right in ipairs({'execute', 'drop', 'create', 'usage'}) do
  ask('admin', ("user.create('seer') user.grant('seer', '%s', 'function')"):format(right))
  ask('seer', "return func.exists('plain')")
  ask('admin', ("user.revoke('seer', '%s', 'function') "):format(right)
    .. ("user.grant('seer', '%s', 'function', 'plain')"):format(right))
  ask('seer', "return func.exists('plain'), func.exists('who')")
  ask('admin', "user.drop('seer')")
end

-- Once.
ask('admin', 'box.once()', "box.once('key')", "box.once('key', 5)", 'box.once(5, print)',
  'box.once(nil, print)', "box.once('key', setmetatable({}, {__call = print}))",
  "return box.once('key', function(...) return 'ran', ... end, 1, 2)",
  "return box.once('key', function(...) return 'ran', ... end, 1, 2)",
  "return box.once('fails', function() error('oops', 0) end)",
  "return box.once('fails', function() end)",
  "return box.once('nested', function() box.once('nested', error) return 7 end)")

local function packed(...)
  local results = {...}
  for place = 1, select('#', ...) do
    if results[place] == nil then
      results[place] = json.null
    end
  end
  return setmetatable(results, json.array_mt or {__serialize = 'seq'})
end

local PREFACE = 'local user, func = box.schema.user, box.schema.func '

local function run(who, source)
  local chunk = assert(loadstring(PREFACE .. source))
  local results = packed(pcall(box.session.su, who, chunk))
  if results[1] then
    table.remove(results, 1)
    return {who, source, results}
  end
  local raised = results[2]
  if type(raised) == 'cdata' then
    return {who, source, json.null, {raised.code or 32, raised.message}}
  end
  return {who, source, json.null, {32, tostring(raised):match('^[%w/.]+:%d+: (.*)$')
    or tostring(raised)}}
end

local lines = {}
for place, step in ipairs(steps) do
  lines[place] = json.encode(run(unpack(step)))
end
print('[\n' .. table.concat(lines, ',\n') .. '\n]')
os.exit(0)
