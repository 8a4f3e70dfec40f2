-- JSON: require('json'). encode(value[, options]), decode(text[, options]), cfg{...}, new(), NULL.
--
-- The text is made and read by Python's json through the bridge, a value crosses as MessagePack;
-- see box/serializer for options.

local bridge = require('beespace.bridge')
local codec = require('beespace.engine.codec')
local serializer = require('beespace.box.serializer')

return serializer.make({
  name = 'json',
  changeable = {
    encode_number_precision = true,
    encode_invalid_numbers = true,
    decode_invalid_numbers = true,
    decode_max_depth = true,
  },
  encode = function(value, settings)
    return bridge.json_encode(codec.pack(value), settings.encode_number_precision,
      settings.encode_invalid_numbers)
  end,
  decode = function(text, settings)
    return bridge.json_decode(text, settings.decode_max_depth, settings.decode_invalid_numbers)
  end,
  unpack = function(packed)
    return (codec.unpack(packed))
  end,
})
