-- ARGV token, LPUSH or RPUSH, then ids
-- Gives chunks back as if they had not been leased, before or behind all others, in their old order.

local push = ARGV[2]
local first, last, step = 3, #ARGV, 1
if push == 'LPUSH' then first, last, step = last, first, -1 end
for i = first, last, step do
  local id = ARGV[i]
  if is_held(id, ARGV[1]) then
    end_lease(id)
    call('HINCRBY', attempts, id, -1)
    make_ready(id, push)
  end
end
