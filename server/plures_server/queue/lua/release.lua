-- ARGV token, then ids
-- Gives chunks back as if they had not been leased, in their old order.

for i = #ARGV, 2, -1 do
  local id = ARGV[i]
  if is_held(id, ARGV[1]) then
    end_lease(id)
    call('HINCRBY', attempts, id, -1)
    make_ready(id, 'LPUSH')
  end
end
