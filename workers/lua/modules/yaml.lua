-- YAML: require('yaml'). encode(value), decode(text), new(), NULL.
--
-- encode gives one document between `---` and `...`; decode returns the value of every document of
-- the text. The text is made and read by PyYAML through the bridge; see box/serializer for options.

local bridge = require('beespace.bridge')
local codec = require('beespace.engine.codec')
local serializer = require('beespace.box.serializer')

return serializer.make({
  name = 'yaml',
  changeable = {},
  encode = function(packed)
    return bridge.yaml_encode(packed)
  end,
  decode = function(text)
    return bridge.yaml_decode(text)
  end,
  unpack = function(packed)
    local documents = codec.unpack(packed)
    return unpack(documents, 1, #documents)
  end,
})
