-- The collations that _collation lists: facts for clients that look them up, nothing is compared.
--
-- Read by engine/view_rows. Four of their own, then three strengths for every locale; the name of
-- some differs from the locale they are made of.

local decode = require('beespace.engine.decode')

local setmetatable = setmetatable
local gmatch = string.gmatch

local LOCALES = [[
af am ar as az be bn bs bs_Cyrl ca cs cy da de__phonebook=de_DE_u_co_phonebk
de_AT_phonebook=de_AT_u_co_phonebk dsb ee eo es es__traditional=es_u_co_trad et fa fi
fi__phonebook=fi_u_co_phonebk fil fo fr_CA gu ha haw he hi hr hu hy ig is ja kk kl kn ko kok
ky lkt ln lt lv mk ml mr mt nb nn nso om or pa pl ro sa se si si__dictionary=si_u_co_dict sk
sl sq sr sr_Latn sv sv__reformed=sv_u_co_reformed ta te th tn to tr ug_Cyrl=ug uk ur vi vo wae
wo yo zh zh__big5han=zh_u_co_big5han zh__gb2312han=zh_u_co_gb2312 zh__pinyin=zh_u_co_pinyin
zh__stroke=zh_u_co_stroke zh__zhuyin=zh_u_co_zhuyin
]]

local STRENGTHS = {'primary', 'secondary', 'tertiary'}

local rows = {}

local function add(name, kind, locale, strength)
  local options = setmetatable({strength = strength}, decode.map_mt)
  rows[#rows + 1] = {#rows, name, 1, kind, locale, options}
end

add('none', 'BINARY', '')
add('unicode', 'ICU', '', 'tertiary')
add('unicode_ci', 'ICU', '', 'primary')
add('binary', 'BINARY', '')
for word in gmatch(LOCALES, '%S+') do
  local name, locale = word:match('^(.-)=(.*)$')
  for number = 1, #STRENGTHS do
    add(('unicode_%s_s%d'):format(name or word, number), 'ICU', locale or word, STRENGTHS[number])
  end
end

return rows
