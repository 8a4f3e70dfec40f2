-- Addresses: require('uri'). parse(text) -> a table of its parts, nil when the text is no address;
-- format(parts[, with_password]) -> the text.
--
-- Parts: scheme, login, password, host, service, path, query, fragment, and ipv4, ipv6 or unix
-- where the host is such an address. A text of digits is a service, one that begins with a slash
-- or with `unix/:` is a socket file.

local error, type = error, type
local find, match, sub = string.find, string.match, string.sub

local uri = {}

local HEX = '[%x:.]+'
local IPV4 = '^%d%d?%d?%.%d%d?%d?%.%d%d?%d?%.%d%d?%d?$'

-- The file of a socket into the parts; whether the text is one.
local function take_socket(parts, text)
  local file = match(text, '^unix/:(/%S*)$') or match(text, '^(/%S*)$')
  parts.host, parts.service, parts.unix = file and 'unix/', file, file
  return file ~= nil
end

-- Take `login[:password]@` off the front.
local function take_login(parts, text)
  local front, rest = match(text, '^([^@/?#:][^@/?#]*)@(.*)$')
  if front == nil then
    return text
  end
  local login, password = match(front, '^([^:]*):(.*)$')
  parts.login, parts.password = login or front, password
  return rest
end

-- Take the host off the front; the rest, nil when there is none.
local function take_host(parts, text)
  local address, rest = match(text, '^%[(' .. HEX .. ')%](.*)$')
  if address ~= nil then
    parts.host, parts.ipv6 = address, address
    return find(address, ':', 1, true) and rest or nil
  end
  local host
  host, rest = match(text, '^([%w%-._~%%]*)(.*)$')
  if host == '' then
    return nil
  end
  parts.host = host
  if find(host, IPV4) then
    parts.ipv4 = host
  end
  return rest
end

-- Take `:service` off the front; the rest.
local function take_service(parts, text)
  if sub(text, 1, 1) ~= ':' then
    return text
  end
  local service, rest = match(text, '^:(%w*)(.*)$')
  parts.service = service ~= '' and service or nil
  return rest
end

-- Path, query and fragment; whether there is nothing else.
local function take_tail(parts, text)
  local path, rest = match(text, '^(/[^?#%s]*)(.*)$')
  if path ~= nil then
    parts.path, text = path, rest
  end
  local query
  query, rest = match(text, '^%?([^#%s]*)(.*)$')
  if query ~= nil then
    parts.query, text = query, rest
  end
  local fragment
  fragment, rest = match(text, '^#([^%s]*)(.*)$')
  if fragment ~= nil then
    parts.fragment, text = fragment, rest
  end
  return text == ''
end

local function parse_address(parts, text)
  text = take_login(parts, text)
  if take_socket(parts, text) then
    return parts
  end
  local rest = take_host(parts, text)
  return rest and take_tail(parts, take_service(parts, rest)) and parts or nil
end

-- See the head of this file.
function uri.parse(text)
  if type(text) ~= 'string' then
    error('Usage: uri.parse(string)', 2)
  elseif find(text, '^%d+$') then
    return {service = text}
  end
  local scheme, rest = match(text, '^(%a[%w+.-]*)://(.+)$')
  local parts = {}
  if scheme ~= nil then
    parts.scheme, text = scheme, rest
  end
  return parse_address(parts, text)
end

local function authority(parts, with_password)
  local text = ''
  if parts.login ~= nil then
    local password = with_password and parts.password or nil
    text = parts.login .. (password and ':' .. password or '') .. '@'
  end
  if parts.host ~= nil then
    text = text .. parts.host
  end
  if parts.service ~= nil then
    text = text .. (parts.host ~= nil and ':' or '') .. parts.service
  end
  return text
end

-- The text of parts; the password is left out unless it is asked for.
function uri.format(parts, with_password)
  if type(parts) ~= 'table' then
    error('Usage: uri.format(table[, with_password])', 2)
  end
  return (parts.scheme and parts.scheme .. '://' or '') .. authority(parts, with_password)
    .. (parts.path or '') .. (parts.query and '?' .. parts.query or '')
    .. (parts.fragment and '#' .. parts.fragment or '')
end

return uri
