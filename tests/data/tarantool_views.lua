-- Writes what Tarantool says about its system views, for tests/workers/lua/test_views_golden.py:
--
--   cd EMPTY_FOLDER && tarantool .../tarantool_views.lua > .../tarantool_views.json
--
-- Users with different rights are made, then recorded: the catalog as rows of _user, _priv and
-- _func (without the functions that are built in for SQL); the ids of the rows that every user
-- sees and the spaces it may read; all rows of _vspace, _vindex and _vcollation as admin; and
-- answers to selects as [user, space, index, iterator, key, offset, limit, answer], where the
-- answer is an error or the primary keys of the rows; and what pieces of Lua return as admin, as
-- [source, results] or [source, null, error].

local json = require('json')

box.cfg{log = 'log', wal_mode = 'none'}

local user, role, func = box.schema.user, box.schema.role, box.schema.func
local LAST_OF_SQL = 67

local NAMES = {
  'alice', 'bob', 'carol', 'dave', 'eve', 'frank', 'gina', 'hank', 'ivan', 'jane', 'kate', 'liam',
  'mary', 'nick', 'olga', 'paul',
}
for _, name in ipairs(NAMES) do
  user.create(name, {password = 'pw'})
end

for _, name in ipairs({'inner', 'outer', 'clerks', 'chiefs'}) do
  role.create(name)
end
role.grant('outer', 'inner')
role.grant('chiefs', 'clerks')
func.create('fa')
func.create('fb', {
  setuid = true, body = 'function(a) return a end', is_sandboxed = true, comment = 'hi',
  is_deterministic = true,
})
func.create('fc')
role.grant('clerks', 'execute', 'function', 'fa')
role.grant('clerks', 'read', 'space', '_user')
user.grant('bob', 'clerks')
user.grant('carol', 'read', 'universe')
user.grant('dave', 'execute', 'universe')
user.grant('frank', 'super')
user.grant('gina', 'execute', 'function')
user.grant('hank', 'read', 'space', '_space')
user.grant('ivan', 'write', 'universe')
user.grant('jane', 'chiefs')
user.grant('kate', 'read', 'space', '_priv')
user.grant('kate', 'read', 'space', '_func')
user.grant('liam', 'drop', 'function', 'fb')
user.grant('liam', 'alter', 'user', 'alice')
user.grant('liam', 'write', 'space', '_session_settings')
user.grant('mary', 'outer')
user.grant('nick', 'read', 'space')
user.grant('olga', 'alter', 'user')
user.grant('olga', 'create', 'space')
user.grant('olga', 'execute', 'role')
user.grant('paul', 'usage', 'function')
user.grant('paul', 'alter', 'space', '_index')

local needed = {'_user', '_func', '_priv'}
user.grant('eve', 'create', 'universe')
for _, space in ipairs(needed) do
  user.grant('eve', 'read,write', 'space', space)
end
box.session.su('eve', function()
  func.create('fe')
  user.create('eves', {password = 'x'})
  role.create('everole')
end)
user.revoke('eve', 'create', 'universe')
for _, space in ipairs(needed) do
  user.revoke('eve', 'read,write', 'space', space)
end
user.grant('eve', 'execute', 'function', 'fc')

local function of_sql(id)
  return type(id) == 'number' and id > 1 and id <= LAST_OF_SQL
end

local function rows(space, keep)
  local found = {}
  for _, row in space:pairs() do
    if keep == nil or keep(row) then
      table.insert(found, row)
    end
  end
  return setmetatable(found, json.array_mt)
end

local function own_privilege(row)
  return row[3] ~= 'function' or not of_sql(row[4])
end

local function own_function(row)
  return not of_sql(row[1])
end

local function ids(space, keep)
  local found = setmetatable({}, json.array_mt)
  for _, row in ipairs(rows(space, keep)) do
    table.insert(found, row[1])
  end
  return found
end

local function index_ids()
  local found = setmetatable({}, json.array_mt)
  for _, row in box.space._vindex:pairs() do
    table.insert(found, {row[1], row[2]})
  end
  return found
end

local READ = {272, 276, 277, 280, 281, 284, 286, 288, 289, 296, 297, 304, 305, 312, 313, 320, 330}

local function readable()
  local found = setmetatable({}, json.array_mt)
  for _, id in ipairs(READ) do
    if pcall(box.space[id].select, box.space[id], {}, {limit = 1}) then
      table.insert(found, id)
    end
  end
  return found
end

local seen = {}
for _, name in ipairs({'guest', 'admin', unpack(NAMES)}) do
  box.session.su(name, function()
    seen[name] = {
      spaces = ids(box.space._vspace), indexes = index_ids(), users = ids(box.space._vuser),
      functions = ids(box.space._vfunc, own_function),
      privileges = rows(box.space._vpriv, own_privilege), readable = readable(),
    }
  end)
end

local PRIMARY = {[289] = {1, 2}, [313] = {2, 3, 4}}

local function ask(space, index, iterator, key, offset, limit)
  local ok, answer = pcall(box.internal.select, space, index, iterator, offset, limit, key)
  if not ok then
    return {code = answer.code, text = answer.message}
  end
  local found = setmetatable({}, json.array_mt)
  for _, row in ipairs(answer) do
    local primary = {}
    for place, field in ipairs(PRIMARY[space] or {1}) do
      primary[place] = row[field]
    end
    table.insert(found, primary)
  end
  return found
end

local answers = {}

local function record(name, ...)
  local answer = box.session.su(name, ask, ...)
  local space, index, iterator, key, offset, limit = ...
  table.insert(answers, {name, space, index, iterator, key, offset, limit, answer})
end

local ALL = 1000
local KEYS = {
  [281] = {[0] = {{}, {281}, {282}, {0}, {9999}, {'x'}, {281, 1}, {-1}, {1.5}},
    {{}, {1}, {2}, {0}}, {{}, {'_vfunc'}, {'_vg'}, {'x'}, {5}}},
  [289] = {[0] = {{}, {281}, {281, 1}, {281, 9}, {305, 0}, {282, 5}, {281, 'x'}, {281, 1, 1}},
    [2] = {{}, {281}, {281, 'name'}, {281, 'o'}, {281, 1}}},
  [305] = {[0] = {{}, {0}, {1}, {33}}, {{}, {1}}, {{}, {'guest'}, {'h'}}},
}
for space, indexes in pairs(KEYS) do
  for index, keys in pairs(indexes) do
    for _, key in ipairs(keys) do
      for iterator = 0, 7 do
        record('guest', space, index, iterator, setmetatable(key, json.array_mt), 0, ALL)
      end
    end
  end
end

local PRIVILEGE_KEYS = {
  [0] = {{}, {48}, {48, 'space'}, {48, 'space', ''}, {48, 'space', 0}, {48, 'user'},
    {48, 'user', 47}, {48, 'user', 'a'}, {48, 'user', true}, {48, 5}, {48, 'user', {}}},
  {{}, {1}, {36}, {'x'}},
  {{}, {'universe'}, {'user', 32}, {'user', ''}, {'space', 281}, {'u'}, {true}},
}
for index, keys in pairs(PRIVILEGE_KEYS) do
  for _, key in ipairs(keys) do
    for iterator = 0, 6 do
      record('olga', 313, index, iterator, setmetatable(key, json.array_mt), 0, ALL)
      record('eve', 313, index, iterator, setmetatable(key, json.array_mt), 0, ALL)
    end
  end
end

for _, name in ipairs({'guest', 'hank', 'bob', 'frank'}) do
  for _, space in ipairs({272, 276, 280, 284, 286, 288, 296, 304, 312, 320, 330, 999}) do
    for _, index in ipairs({0, 5}) do
      for _, iterator in ipairs({0, 8, 12}) do
        for _, key in ipairs({{}, {{}}, {1, 2, 3, 4}}) do
          local limit = #key == 0 and 0 or ALL
          record(name, space, index, iterator, setmetatable(key, json.array_mt), 0, limit)
        end
      end
    end
  end
end

for offset = 0, 9, 3 do
  for limit = 0, 9, 4 do
    for iterator = 0, 6 do
      record('guest', 281, 2, iterator, setmetatable({}, json.array_mt), offset, limit)
      record('guest', 281, 0, iterator, {289}, offset, limit)
    end
  end
end

local SOURCES = {
  "local list = {...} for _, t in space:pairs(0, 'GT') do list[#list + 1] = t.id end return list",
  'return #space:select(), #space:select(0), #space:select{0}, #space:select(nil), #space:select{}',
  "return space:select({}, {iterator = 'FOO'})",
  "return space:select({}, {iterator = 'le', limit = 1})[1].id",
  "return space:select({}, {iterator = 'REQ', limit = 2, offset = 1})[2].name",
  'return space:select({}, {iterator = 99})',
  'return #space:select({}, {limit = -1}), #space:select({}, {limit = 1.5})',
  'return #space:select({}, {unknown = 1}), #space:select({}, {offset = 5, limit = 3})',
  'return space:get(0).name, space:get{1}.name, space:get(12345)',
  'return space:get{}', 'return space:get(nil)', 'return space:get{1, 2}', "return space:get('x')",
  'return space.index.owner:get(1)', "return space.index.name:get('admin').id",
  'return box.space._vpriv:get{0}', 'return space:count(), space:count(0), space:count{5000}',
  "return space:count(1, {iterator = 'GT'})", "return space:count('x')",
  'return space:count({}, {iterator = 77})', "return space.index.name:count('admin')",
  'return space.index.name:min().name, space.index.name:max().name',
  "return space.index.name:min('b'), space.index[1]:max(1).id, space.index[1]:min(1).id",
  'return space.index.name:min{1, 2}', 'return space:bsize(), space.index[0]:bsize()',
  'return space:insert{1}', 'return space:replace{1}', 'return space:put{1}',
  'return space:update(1, {})', "return space:update(1, {{'=', 1, 1}})", 'return space:delete(1)',
  'return space:upsert({1}, {})', 'return space:auto_increment{1}', 'return space:truncate()',
  "return space.index.name:update('x', {})", "return space.index.name:delete('x')",
  'return space:format()[1].name, space:format()[3].type, #box.space._vspace:format()',
  'return space.id, space.name, space.engine, space.field_count, space.temporary, space.enabled',
  'return space.index.name.id, space.index[2].name, space.index[0].type, space.index[1].unique',
  'return space.index.name.parts, space.index.nosuch, space.index[9], #space.index',
  'return box.space.nosuch, box.space[999], box.space[281].name',
  'return space.select()', 'return space.select({})', 'return space.get(1)',
  'local t = space:get(1) return t[1], t[3], t.name, t.id, t.nosuch, t[-1], t[0], t[99]',
  'local t = space:get(1) return t:unpack(2, 3)', 'return box.tuple.is(space:get(1))',
  "return space:get(0):tomap{names_only = true}.auth['chap-sha1'], space:get(1):tomap()[3]",
  "return tostring(box.tuple.new{1, 'a', {}, {1, {x = true}}, box.NULL, 1.5, 2^40, -5LL})",
  'local t = box.tuple.new{1, {a = 1}} return #t, t:totable(), t:tomap(), t[2].a',
  'return box.tuple.new{1, 2}, box.tuple.new(1, 2), box.tuple.new(), box.tuple.new({})',
  'return box.tuple.new(nil), box.tuple.new(5), box.tuple.new("x", {1}), box.tuple.new{[2] = 5}',
  'return box.tuple.new(box.tuple.new{1, 2}), box.tuple.new{1, nil, 3}, box.tuple.new({}, {})',
  'return box.tuple.new{a = 1}', 'return box.tuple.is(5), box.tuple.is(nil), box.tuple.is({})',
  'return t:totable(2, 3), t:totable(4), t:totable(3, 99)', 'return t:totable(0)',
  'return t:totable(1, 0)', 'return t:unpack(2)', 'return t:slice(1, 3)', 'return t:slice(1)',
  'return t:slice(-3)', 'return t:slice(-3, -1)', 'return t:slice(20)', 'return t:slice(2, 1)',
  'return t:slice(1, 50)', 'return t:slice()', 'return t:find(1), t:find(0, 1), t:find(1, 1)',
  'return t:find(2, 1), t:find("nosuch")', 'return t:findall(1)', 'return t:findall(1, 1)',
  'return t:next()', 'return t:next(1)', 'return t:next(5)', 'return t:bsize()', 'return t',
  'local list = {} for k, v in t:pairs() do list[k] = v end return list',
  'local list = {} for k, v in pairs(t) do list[k] = v end return list',
  'local list = {} for k, v in ipairs(t) do list[k] = v end return list',
  "return settings:select('sql_default_engine')",
  "return settings:update('sql_default_engine', {{'=', 'value', 'vinyl'}})",
  "return settings:update({'sql_default_engine'}, {{'=', 2, 'memtx'}})",
  "return settings:update('sql_default_engine', {{'=', -1, 'memtx'}})",
  "return settings.index[0]:update('sql_parser_debug', {{'=', 2, true}})",
  "return settings:update('sql_parser_debug', {{'=', 2, false}}).value",
  "return settings:update('sql_default_engine', {{'=', 1, 'memtx'}})",
  "return settings:update('sql_default_engine', {{'=', 3, 'memtx'}})",
  "return settings:update('sql_default_engine', {{'=', 9, 'memtx'}})",
  "return settings:update('nosuch', {{'=', 2, 'memtx'}})",
  "return settings:update('sql_default_engine', {{'=', 'foo', 'memtx'}})",
  "return settings:update('sql_default_engine', {{'=', 2, 'foo'}})",
  "return settings:update('sql_default_engine', {{'=', 2, 5}})",
  'return settings:update(5, {})', 'return settings:update({}, {})',
  'return settings:insert{"a", 1}', 'return settings:replace{"a", 1}',
  'return settings:delete{"a"}',
  "return settings:get('nosuch'), settings:get{'sql_vdbe_debug'}.value",
  'return settings.index.primary:max()', 'return settings.temporary, settings.field_count',
  'return box.session.settings.nosuch', 'box.session.settings.nosuch = 1',
  'box.session.settings.sql_default_engine = 5', "box.session.settings.sql_parser_debug = 'foo'",
  "box.session.settings.sql_default_engine = 'foo'", 'return box.session.settings[5]',
}

local PREFACE = 'local space, settings = box.space._vuser, box.space._session_settings '
  .. "local t = box.tuple.new{1, 1, 'admin', 'user', {}} "

local function packed(...)
  local results = {...}
  for place = 1, select('#', ...) do
    if results[place] == nil then
      results[place] = json.null
    end
  end
  return setmetatable(results, json.array_mt)
end

local function run(source)
  local results = packed(pcall(loadstring(PREFACE .. source)))
  if results[1] then
    table.remove(results, 1)
    return {source, results}
  end
  local raised = results[2]
  if type(raised) == 'string' then
    return {source, json.null, {text = raised:match(': (.*)$') or raised}}
  end
  return {source, json.null, {code = raised.code, text = raised.message}}
end

local pieces = {}
for place, source in ipairs(SOURCES) do
  pieces[place] = run(source)
end

-- One object of one line for every entry, so that changes can be seen.
local function lines(list)
  local texts = {}
  for place, each in ipairs(list) do
    texts[place] = json.encode(each)
  end
  return '[\n' .. table.concat(texts, ',\n') .. '\n]'
end

local users = {}
for name, what in pairs(seen) do
  table.insert(users, ('%s: %s'):format(json.encode(name), json.encode(what)))
end
table.sort(users)

print('{')
print('"version": ' .. json.encode(box.info.version) .. ',')
print('"users": ' .. lines(rows(box.space._user)) .. ',')
print('"privileges": ' .. lines(rows(box.space._priv, own_privilege)) .. ',')
print('"functions": ' .. lines(rows(box.space._func, own_function)) .. ',')
print('"spaces": ' .. lines(rows(box.space._vspace)) .. ',')
print('"indexes": ' .. lines(rows(box.space._vindex)) .. ',')
print('"collations": ' .. lines(rows(box.space._vcollation)) .. ',')
print('"seen": {\n' .. table.concat(users, ',\n') .. '\n},')
print('"selects": ' .. lines(answers) .. ',')
print('"lua": ' .. lines(pieces))
print('}')
os.exit(0)
