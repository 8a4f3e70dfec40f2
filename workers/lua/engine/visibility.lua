-- Who sees which spaces, users, roles, functions and grants.
--
-- One sees oneself and one's roles, what one owns, what one has rights on, and what one has granted
-- or been granted; and everything of a system space when one reads that space, or has one of the
-- rights SEEING on universe. engine/view_rows asks for the rows of views, box/schema_rights for
-- what box.schema is asked about: what one does not see does not exist there.

local access = require('beespace.engine.access')

local SEEING = access.READ + access.WRITE + access.DROP + access.ALTER

local visibility = {}

-- Whether a user sees everything that the system space of this number has; the functions below tell
-- of the others, who see a part of it.
function visibility.everything(uid, space)
  return access.has_any(uid, SEEING) or access.has_on(uid, access.READ, 'space', space)
end

function visibility.space(uid, id)
  return access.has_any(uid, SEEING, 'space', id)
end

-- Users and roles.
function visibility.principal(uid, id, owner)
  return id == uid or owner == uid or access.has_role(uid, id)
end

-- Functions of the catalog.
function visibility.func(uid, id, owner)
  return owner == uid or access.has_any(uid, SEEING + access.EXECUTE, 'function', id)
end

function visibility.grant(uid, grantor, grantee)
  return grantor == uid or grantee == uid
end

return visibility
