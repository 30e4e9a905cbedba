-- ARGV … token, visibility ms, then ids
-- Returns the ids that the token still holds.

local deadline = clock_ms() + tonumber(ARGV[4])
local held = {}
for i = 5, #ARGV do
  if is_held(ARGV[i], ARGV[3]) then
    call('ZADD', leases, deadline, ARGV[i])
    held[#held + 1] = ARGV[i]
  end
end
return held
