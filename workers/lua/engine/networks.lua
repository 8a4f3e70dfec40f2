-- Addresses of clients as slots tell them, and whether they are meant by a text or a network.
--
-- engine/filters makes a pattern of each text that it is given, and asks it of many peers:
--
--   127.0.0.1:55457   [::1]:59784   unix/:(socket)   exactly this text
--   127.0.0.1   ::1   [::1]                          this address, whatever the port
--   10.0.0.0/8   2001:db8::/32                       all addresses of this network
--
-- An IPv4 address that is written as an IPv6 one (::ffff:10.0.0.1) is the IPv4 address. A network
-- has no bits behind its length.

local bit = require('bit')
local ffi = require('ffi')
local sys = require('beespace.engine.sys')

local C = sys.C
local band, bnot, bswap = bit.band, bit.bnot, bit.bswap
local bxor, lshift = bit.bxor, bit.lshift
local copy, fill = ffi.copy, ffi.fill
local tonumber, type = tonumber, type
local IPV4, IPV6 = sys.AF_INET, sys.AF_INET6
local BITS = {[IPV4] = 32, [IPV6] = 128}
local BRACKET, END_BRACKET, COLON, PERCENT = 91, 93, 58, 37
local ZERO, NINE = 48, 57
-- Longest text of an address with its zone that is looked at.
local LONGEST = 255
-- Third word of an IPv4 address that is written as an IPv6 one, as it lies in memory.
local MAPPED, MAPPED_BITS = bswap(0xffff), 96

ffi.cdef [[
typedef struct {
  int family;        /* AF_INET, AF_INET6, 0: any text */
  int length;        /* of an exact text, -1: the address is compared */
  uint8_t text[256];
  uint32_t address[4];
  int32_t mask[4];
} bee_network_t;
]]

local networks = {}

local pattern_t = ffi.typeof('bee_network_t')
local words = ffi.new('uint32_t[4]')
local text = ffi.new('uint8_t[?]', LONGEST + 1)

-- Read an address that is written as one of this family into `words`; the family that it is of, nil
-- when it is none.
local function read(family, bytes, length)
  if length > LONGEST then
    return nil
  end
  copy(text, bytes, length)
  text[length] = 0
  fill(words, 16)
  local zone = C.memchr(text, PERCENT, length)
  if zone ~= nil then
    zone[0] = 0
  end
  if C.inet_pton(family, text, words) ~= 1 then
    return nil
  elseif family == IPV4 or words[0] ~= 0 or words[1] ~= 0 or bxor(words[2], MAPPED) ~= 0 then
    return family
  end
  words[0], words[2], words[3] = words[3], 0, 0
  return IPV4
end

-- The same for the text of a peer, which has a port.
local function read_peer(peer, length)
  local first = peer[0]
  if first == BRACKET then
    local stop = C.memchr(peer, END_BRACKET, length)
    return stop ~= nil and read(IPV6, peer + 1, tonumber(stop - peer) - 1) or nil
  elseif first >= ZERO and first <= NINE then
    local stop = C.memchr(peer, COLON, length)
    return stop ~= nil and read(IPV4, peer, tonumber(stop - peer)) or nil
  end
  return nil
end

-- Whether a pattern means the peer whose text is the first `length` bytes at `peer`.
function networks.fits(pattern, peer, length)
  if pattern.length >= 0 then
    return pattern.length == length and C.memcmp(pattern.text, peer, length) == 0
  elseif length == 0 or read_peer(peer, length) ~= pattern.family then
    return false
  end
  local address, mask = pattern.address, pattern.mask
  return band(bxor(words[0], address[0]), mask[0]) == 0
    and band(bxor(words[1], address[1]), mask[1]) == 0
    and band(bxor(words[2], address[2]), mask[2]) == 0
    and band(bxor(words[3], address[3]), mask[3]) == 0
end

-- Patterns ----------------------------------------------------------------------------------------

local function exact(bytes, most)
  bytes = bytes:sub(1, most)
  local pattern = pattern_t()
  pattern.length = #bytes
  copy(pattern.text, bytes, #bytes)
  return pattern
end

local function word_of(bits)
  if bits <= 0 then
    return 0
  end
  return bits >= 32 and -1 or bswap(lshift(-1, 32 - bits))
end

-- The addresses that begin like `words` in `bits` bits; nil when others of its bits are set.
local function network(family, bits)
  local pattern = pattern_t()
  pattern.family, pattern.length = family, -1
  for index = 0, 3 do
    local mask = word_of(bits - 32 * index)
    if band(words[index], bnot(mask)) ~= 0 then
      return nil
    end
    pattern.address[index], pattern.mask[index] = words[index], mask
  end
  return pattern
end

-- Read an address that stands alone; its family, nil when it is none.
local function read_alone(host)
  local family, inner = IPV4, host
  if host:find(':', 1, true) then
    family, inner = IPV6, host:match('^%[(.*)%]$') or host
  end
  return read(family, inner, #inner)
end

local function read_network(host, bits)
  local family = read_alone(host)
  if family == IPV4 and host:find(':', 1, true) then
    bits = bits - MAPPED_BITS
  end
  return family and bits >= 0 and bits <= BITS[family] and network(family, bits) or nil
end

-- The pattern of a text, nil when it is none of those above; peers are cut after `most` bytes.
function networks.pattern(value, most)
  if type(value) ~= 'string' or value == '' or #value > LONGEST or value:find('%z') then
    return nil
  elseif value:sub(1, 6) == 'unix/:' then
    return exact(value, most)
  end
  local host, bits = value:match('^([^/]+)/(%d+)$')
  if host ~= nil then
    return read_network(host, tonumber(bits))
  end
  host = value:match('^(%[[^%]]*%]):%d+$') or value:match('^([%d.]+):%d+$')
  if host ~= nil then
    return read_alone(host) and exact(value, most) or nil
  end
  local family = read_alone(value)
  return family and network(family, BITS[family]) or nil
end

return networks
