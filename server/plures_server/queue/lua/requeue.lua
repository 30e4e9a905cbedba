-- ARGV … then ids
-- Gives dead chunks another life, behind all that are waiting. Returns how many items that were.

local items = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  if call('LREM', dead, 1, id) == 1 then
    call('HDEL', errors, id)
    call('HDEL', expiries, root_of(id))
    put_behind(id, 0)
    items = items + items_of(id)
  end
end
if items > 0 then count('dead', -items) end
return items
