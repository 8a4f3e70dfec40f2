-- Writes what Tarantool says to box.schema.user and box.schema.role, for
-- tests/workers/lua/test_schema_facts.py:
--
--   cd EMPTY_FOLDER && LUA_PATH='.../?.lua;;' tarantool .../tarantool_users.lua > \
--     .../tarantool_users.json
--
-- "groups" are lists of pieces of Lua run one after the other as admin, each group beginning with
-- the users and roles of a new server. "matrix" has for sets of rights what one user who has them
-- is answered: every piece is run alone, after "prepare". A piece is [source, results] or
-- [source, null, error]. tarantool_users_cases.lua has the pieces.

local json = require('json')

local cases = require('tarantool_users_cases')

box.cfg{log = 'log', wal_mode = 'none'}

local FIRST_ID = 32

local function packed(...)
  local results = {...}
  for place = 1, select('#', ...) do
    if results[place] == nil then
      results[place] = json.null
    end
  end
  return setmetatable(results, json.array_mt)
end

local PREFACE = 'local user, role, func = box.schema.user, box.schema.role, box.schema.func '

local function run(source)
  local results = packed(pcall(loadstring(PREFACE .. source)))
  if results[1] then
    table.remove(results, 1)
    return {source, results}
  end
  local raised = results[2]
  if type(raised) == 'string' then
    return {source, json.null, {text = raised:match('^[^ ]*:%d+: (.*)$') or raised}}
  end
  return {source, json.null, {code = raised.code, text = raised.message}}
end

local function newest_first(space)
  local found = {}
  for _, row in ipairs(space:select({FIRST_ID}, {iterator = 'GE'})) do
    table.insert(found, 1, row)
  end
  return found
end

local LAST_OF_SQL = 67

local original, first = box.space._priv:select(), {}
for _, row in ipairs(original) do
  first[json.encode({row[2], row[3], row[4]})] = true
end

local NO_AUTH = setmetatable({}, {__serialize = 'map'})

-- Rows about a user who has been dropped cannot be deleted: put somebody in its place.
local function fill_gaps()
  for _, row in ipairs(box.space._priv:select()) do
    local ids = {row[1]}
    if row[3] == 'user' or row[3] == 'role' then
      table.insert(ids, row[4])
    end
    for _, id in ipairs(ids) do
      if type(id) == 'number' and box.space._user:get(id) == nil then
        box.space._user:insert({id, 1, 'gap' .. id, row[4] == id and row[3] or 'user', NO_AUTH})
      end
    end
  end
end

local function restore()
  fill_gaps()
  for _, row in ipairs(box.space._func:select({LAST_OF_SQL}, {iterator = 'GT'})) do
    box.schema.func.drop(row[1])
  end
  for _, row in ipairs(box.space._priv:select()) do
    local key = {row[2], row[3], row[4]}
    if not first[json.encode(key)] then
      box.space._priv:delete(key)
    end
  end
  for _, row in ipairs(original) do
    box.space._priv:replace(row)
  end
  for _, row in ipairs(newest_first(box.space._user)) do
    if row[4] == 'user' then
      box.schema.user.drop(row[1])
    else
      box.schema.role.drop(row[1])
    end
  end
end

-- One object of one line for every entry, so that changes can be seen.
local function lines(list)
  local texts = {}
  for place, each in ipairs(list) do
    texts[place] = json.encode(each)
  end
  return '[\n' .. table.concat(texts, ',\n') .. '\n]'
end

local function group_of(group)
  local steps = {}
  for place = 2, #group do
    steps[place - 1] = run(group[place])
  end
  restore()
  return ('%s: %s'):format(json.encode(group[1]), lines(steps))
end

local function row_of(name, rights)
  local answers = {}
  local prepare = cases.prepare:gsub('GRANT', function() return rights end)
  for place, piece in ipairs(cases.pieces) do
    local prepared = run(prepare)
    assert(prepared[3] == nil, prepared[3] and prepared[3].text)
    answers[place] = box.session.su('me', run, piece)
    restore()
  end
  return ('%s: {"prepare": %s, "answers": %s}'):format(
    json.encode(name), json.encode(prepare),
    lines(answers))
end

local groups, rows = {}, {}
for place, group in ipairs(cases.groups) do
  groups[place] = group_of(group)
end
for place, each in ipairs(cases.rights) do
  rows[place] = row_of(unpack(each))
end

print('{')
print('"version": ' .. json.encode(box.info.version) .. ',')
print('"groups": {\n' .. table.concat(groups, ',\n') .. '\n},')
print('"matrix": {\n' .. table.concat(rows, ',\n') .. '\n}')
print('}')
os.exit(0)
