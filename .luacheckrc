std = 'luajit'
max_line_length = 100
-- `not (x > 0)` is not `x <= 0` when x is not a number.
ignore = {'581'}

files['workers/lua/boot.lua'] = {globals = {'python'}}

-- Applications define global functions for their clients, and see what the server gives them.
local application = {
  allow_defined_top = true,
  globals = {'box', 'db', 'session'},
  ignore = {'131'},
}
files['examples'] = application
files['tests/data'] = application
files['bench/app.lua'] = application
