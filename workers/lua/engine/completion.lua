-- What a word of Lua may go on with: names of globals, fields and methods, and keywords.
--
-- modules/console hands it to applications as completion_handler, and so to every client that
-- completes. The word is a path of names, `a.b.c` or `a.b:c`: all names but the last are followed
-- from the globals, and of the last one what begins like it is listed. Tables are looked into as
-- they are, and the tables behind their __index; no function of the application is called. Behind a
-- function is what the metatable has as `known`: a table like those that the function stands for.

local debug_getmetatable = debug.getmetatable
local next, rawget, tonumber, type = next, rawget, tonumber, type
local sort, modf = table.sort, math.modf
local globals = _G

-- Tables behind one another by __index; names that are looked at, and names that are listed.
local MOST_TABLES, MOST_SEEN, MOST_LISTED = 20, 10000, 500

local KEYWORDS = {'and', 'break', 'do', 'else', 'elseif', 'end', 'false', 'for', 'function', 'if',
  'in', 'local', 'nil', 'not', 'or', 'repeat', 'return', 'then', 'true', 'until', 'while'}

local completion = {}

-- What an object has by __index; nil for none, and for a function of which nothing is known.
local function behind(object)
  local metatable = debug_getmetatable(object)
  if type(metatable) ~= 'table' then
    return nil
  end
  local index = rawget(metatable, '__index')
  if type(index) == 'function' then
    return rawget(metatable, 'known')
  end
  return index
end

-- The value of one name in an object, nil for none.
local function field(object, name)
  for _ = 1, MOST_TABLES do
    if type(object) == 'table' then
      local value = rawget(object, name)
      if type(value) ~= 'nil' then
        return value
      end
    end
    object = behind(object)
    if type(object) == 'nil' then
      return nil
    end
  end
  return nil
end

-- Follow all names of a word but the last: the object, where the last name begins, and its sign.
local function follow(word)
  local object, from, sign = globals, 1, nil
  for at, found in word:gmatch('()([.:])') do
    object = field(object, word:sub(from, at - 1))
    if type(object) == 'nil' then
      return nil
    end
    from, sign = at + 1, found
  end
  return object, from, sign
end

local function add(found, text)
  if not found.has[text] then
    found.has[text] = true
    found[#found + 1] = text
  end
end

-- Add what one table has that begins like `rest`; `head` is what stands before it. Names that begin
-- with _ are for who asks for them, and behind a colon only functions make sense.
local function add_names(found, names, head, rest, sign, hidden)
  for name, value in next, names do
    found.seen = found.seen + 1
    if found.seen > MOST_SEEN or #found >= MOST_LISTED then
      return
    end
    if type(name) == 'string' and name:sub(1, #rest) == rest and name:find('^[%a_][%w_]*$')
      and (hidden or name:sub(1, 1) ~= '_') then
      if type(value) == 'function' then
        add(found, head .. name .. '(')
      elseif sign ~= ':' then
        add(found, head .. name)
      end
    end
  end
end

local function add_keywords(found, rest)
  if rest ~= '' then
    for index = 1, #KEYWORDS do
      local keyword = KEYWORDS[index]
      if keyword:sub(1, #rest) == rest then
        add(found, keyword .. ' ')
      end
    end
  end
end

local function common_prefix(list)
  local first, size = list[1], #list[1]
  for index = 2, #list do
    local other, same = list[index], 0
    while same < size and other:byte(same + 1) == first:byte(same + 1) do
      same = same + 1
    end
    size = same
  end
  return first:sub(1, size)
end

-- All completions of the first `length` bytes of a text, whose rest is not looked at, but for a _.
local function complete(text, length)
  local word = text:sub(1, length)
  local found = {has = {}, seen = 0}
  local object, from, sign = follow(word)
  if type(object) == 'nil' then
    return found
  end
  local head, rest = word:sub(1, from - 1), word:sub(from)
  local hidden = text:sub(from, from) == '_'
  if sign == nil then
    add_keywords(found, rest)
  end
  for _ = 1, MOST_TABLES do
    if type(object) == 'table' then
      add_names(found, object, head, rest, sign, hidden)
    end
    object = behind(object)
    if type(object) == 'nil' then
      break
    end
  end
  return found
end

local function whole(value)
  return (modf(tonumber(value) or 0))
end

-- A list: what all completions have in common, and then each of them; nil when there is none.
-- `text` begins with the word, whose length is that from `from` to `to`, its places in a line.
function completion.complete(text, from, to)
  local length = whole(to) - whole(from)
  if type(text) ~= 'string' or not text:find('^[%a_]') and text ~= ''
    or not (length >= 0 and length <= #text) then
    return nil
  end
  local found = complete(text, length)
  if #found == 0 then
    return nil
  end
  sort(found)
  local list = {common_prefix(found)}
  for index = 1, #found do
    list[index + 1] = found[index]
  end
  return list
end

return completion
