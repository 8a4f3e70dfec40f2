-- The application of the whole-server tests: what a small application has, a module of its own
-- folder and functions that speak of their session.

local greet = require('whole_module')

-- luacheck: globals hello echo length whereami keep kept
function hello(name) return greet.text(name) end

function echo(...) return ... end

function length(text) return #text end

function whereami() return box.session.id(), box.info.worker.id, box.info.pid end

function keep(value) box.session.storage.value = value end

function kept() return box.session.storage.value end
