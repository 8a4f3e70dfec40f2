-- Choose between old and new forms of a behaviour: require('compat').
--
--   compat.session_results            {brief =, current =, default =}
--   compat.session_results = 'new'    'old', 'new' or 'default'
--   compat{session_results = 'new'}   several at once, all or none
--
-- The switches belong to this worker. The request path reads beespace.box.compat_flags instead.
-- Those that give rights away can be set by the application, admin, and the role super only.

local access = require('beespace.engine.access')
local flags = require('beespace.box.compat_flags')
local state = require('beespace.engine.state')

local cur = state.cur
local NUMBERS = {old = 0, new = 1}

local options = {
  session_results = {
    default = 'old',
    brief = 'Results of session.exists and session.peer: old gives 1 or 0 and "0.0.0.0:0" for a'
      .. ' session that does not exist, new gives true or false and raises an error.',
  },
  fiber_user = {
    default = 'new',
    brief = 'User of a fiber that a request creates: old is admin, whoever created it, new is the'
      .. ' effective user of its creator.',
  },
  session_su = {
    default = 'new',
    brief = 'Who may call session.su: old lets everybody become anybody, new only admin and those'
      .. ' with the role super, and takes nothing but names and numbers of users.',
  },
}

-- What was asked for by name, to tell 'old' from 'default'.
local chosen = {}

local function option_of(name)
  local option = options[name]
  if option == nil then
    error(("Invalid option '%s'"):format(tostring(name)), 0)
  end
  return option
end

local function number_of(option, value)
  return NUMBERS[value == 'default' and option.default or value]
end

-- Switches that let code have other rights than its user's.
local GIVES_RIGHTS = {fiber_user = true, session_su = true}

local function check(name, value)
  local option = options[name]
  if option == nil then
    error(("Invalid option '%s'"):format(tostring(name)), 0)
  end
  if number_of(option, value) == nil then
    error(("Invalid value '%s' of option '%s': expected 'old', 'new' or 'default'")
      :format(tostring(value), name), 0)
  elseif GIVES_RIGHTS[name] and not access.is_super(cur.euid) then
    access.denied('Write', 'universe', '')
  end
end

local function set(name, value)
  flags[name] = number_of(options[name], value)
  chosen[name] = value
end

local function current(name)
  local option = options[name]
  local number = flags[name]
  if chosen[name] ~= nil and number_of(option, chosen[name]) == number then
    return chosen[name]
  elseif number == NUMBERS[option.default] then
    return 'default'
  end
  return number == NUMBERS.new and 'new' or 'old'
end

local compat = {}

-- Whether the new form of an option is in force.
function compat.is_new(name)
  option_of(name)
  return flags[name] == NUMBERS.new
end

local meta = {}

function meta.__index(_, name)
  local option = option_of(name)
  return {brief = option.brief, current = current(name), default = option.default}
end

function meta.__newindex(_, name, value)
  check(name, value)
  set(name, value)
end

function meta.__call(_, values)
  if type(values) ~= 'table' then
    error('compat: expected a table of options, got ' .. type(values), 0)
  end
  for name, value in pairs(values) do
    check(name, value)
  end
  for name, value in pairs(values) do
    set(name, value)
  end
end

function meta.__serialize()
  local list = {}
  for name, option in pairs(options) do
    local value = current(name)
    list[name] = value == 'default' and ('default (%s)'):format(option.default) or value
  end
  return list
end

return setmetatable(compat, meta)
