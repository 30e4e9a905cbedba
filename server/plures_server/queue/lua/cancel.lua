-- ARGV … then roots
-- Takes their chunks off the queue. Who holds some does not any more. Returns how many items that were.

local items = 0
for i = 3, #ARGV do
  for id in string.gmatch(call('HGET', live, ARGV[i]) or '', '%S+') do
    local was_ready = call('ZREM', ready, id) == 1
    local was_leased = not was_ready and call('HEXISTS', holders, id) == 1
    if was_ready then count('ready', -items_of(id)) end
    if was_leased then end_lease(id) end
    if was_ready or was_leased then
      succeed(id, {})
      items = items + items_of(id)
    end
  end
end
if items > 0 then count('cancelled', items) end
return items
