-- The help of the console: the global `help`, and what the command \help answers.
--
-- A table with one text, which answers itself when it is called; box/init makes it a global,
-- engine/console_commands answers it.

local setmetatable = setmetatable

local TEXT = [[
This is the console of a beespace server. A line is Lua: an expression is answered with
its values, a statement runs, and names without `local` stay until this worker ends.

Commands begin with a backslash:

  \set output FORMAT      how values are written: yaml, lua, or lua,block
  \set delimiter TEXT     what ends a statement, before its line ends; no text: nothing
  \set language lua       the language of statements
  \set worker WORKER      where statements run: a number, all, or own for this worker
  \help                   this text
  \quit                   end this console

Try: box.session.id(), box.session.peer(), box.info, box.workers.count()
]]

local help = {TEXT}

return setmetatable(help, {
  __call = function()
    return help
  end,
})
