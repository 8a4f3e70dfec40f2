-- Hashes and base64: require('digest').
--
--   md5, sha1, sha224, sha256, sha384, sha512 (and each with _hex)   through the bridge
--   pbkdf2, pbkdf2_hex (password, salt[, iterations[, size]])        through the bridge
--   base64_encode(text[, {nopad=, nowrap=, urlsafe=}]), base64_decode(text)
--   urandom(size)                                random bytes of the system
--   crc32, crc32.new(), murmur, murmur.new(), guava                  box/checksum

local bridge = require('beespace.bridge')
local checksum = require('beespace.box.checksum')
local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local error, type = error, type
local format = string.format

local MAX_RANDOM = 256 * 1024 * 1024
local EINTR = sys.EINTR

local digest = {
  crc32 = checksum.crc32,
  crc32_update = checksum.crc32_update,
  murmur = checksum.murmur,
  guava = checksum.guava,
}

local function hex(bytes)
  return (bytes:gsub('.', function(character)
    return format('%02x', character:byte())
  end))
end

local function answered(name, result, problem)
  if result == nil then
    error(format('digest.%s: %s', name, problem), 0)
  end
  return result
end

local function check_text(text, usage)
  if type(text) ~= 'string' then
    error('Usage: digest.' .. usage, 0)
  end
end

for _, name in ipairs({'md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'}) do
  digest[name] = function(text)
    check_text(text, name .. '(string)')
    return answered(name, bridge.digest(name, text))
  end
  digest[name .. '_hex'] = function(text)
    check_text(text, name .. '_hex(string)')
    return hex(answered(name, bridge.digest(name, text)))
  end
end

local ITERATIONS, SIZE, MAX_SIZE = 100000, 128, 128

local function whole(value, default, least)
  if value == nil then
    return default
  end
  return type(value) == 'number' and value % 1 == 0 and value >= least and value or nil
end

-- PBKDF2 with SHA-256; `size` bytes, at most 128. It holds up the worker while it runs.
function digest.pbkdf2(password, salt, iterations, size)
  if type(password) ~= 'string' or type(salt) ~= 'string' then
    error('Usage: digest.pbkdf2(pass, salt[,iters][,digest_len])', 0)
  end
  iterations, size = whole(iterations, ITERATIONS, 1), whole(size, SIZE, 1)
  if iterations == nil then
    error('iters must be a number', 0)
  elseif size == nil then
    error('length must be a number', 0)
  elseif size > MAX_SIZE then
    error('too big digest size', 0)
  end
  return answered('pbkdf2', bridge.pbkdf2(password, salt, iterations, size))
end

function digest.pbkdf2_hex(...)
  return hex(digest.pbkdf2(...))
end

-- Base64 in lines of 72 characters; nopad leaves the `=` out, nowrap makes one line, urlsafe does
-- both and takes the alphabet of addresses.
function digest.base64_encode(text, options)
  if type(text) ~= 'string' or options ~= nil and type(options) ~= 'table' then
    error('Usage: digest.base64_encode(string[, table])', 0)
  end
  local nopad, nowrap, urlsafe = false, false, false
  if options ~= nil then
    urlsafe = options.urlsafe and true or false
    nopad = options.nopad and true or urlsafe
    nowrap = options.nowrap and true or urlsafe
  end
  return answered('base64_encode', bridge.base64_encode(text, not nopad, not nowrap, urlsafe))
end

-- Either alphabet; other characters are skipped.
function digest.base64_decode(text)
  check_text(text, 'base64_decode(string)')
  return answered('base64_decode', bridge.base64_decode(text))
end

-- Random bytes of the operating system.
function digest.urandom(size)
  if type(size) ~= 'number' or size % 1 ~= 0 or size < 0 or size > MAX_RANDOM then
    error('Usage: digest.urandom(len)', 0)
  end
  local buffer = ffi.new('uint8_t[?]', size)
  local have = 0
  while have < size do
    local got = tonumber(sys.C.getrandom(buffer + have, size - have, 0))
    if got > 0 then
      have = have + got
    elseif ffi.errno() ~= EINTR then
      error('digest.urandom: the system has no random bytes', 0)
    end
  end
  return ffi.string(buffer, size)
end

return digest
