-- ARGV … token, then ids
-- Gives chunks back as if they had not been leased: they have the place in line that they had.

for i = 4, #ARGV do
  local id = ARGV[i]
  if is_held(id, ARGV[3]) then
    end_lease(id)
    if call('HINCRBY', attempts, id, -1) == 0 then call('HDEL', attempts, id) end
    make_ready(id)
  end
end
