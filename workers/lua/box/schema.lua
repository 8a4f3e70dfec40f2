-- box.schema: users, roles and functions made, changed and dropped by applications.
--
-- Each part is a file of its own, which says what its functions do; box/init makes this a global.

return {
  func = require('beespace.box.schema_func'),
  role = require('beespace.box.schema_role'),
  user = require('beespace.box.schema_user'),
}
