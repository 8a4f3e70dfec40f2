-- A module in the application's own folder, for whole_app.lua.

return {
  text = function(name) return ('hello, %s'):format(name) end,
}
