-- The application of the event tests: a watcher in every worker, started with the application.

-- luacheck: globals seen last
seen, last = 0, nil

box.watch('app key', function(_, value)
  seen = seen + 1
  last = value
end)
