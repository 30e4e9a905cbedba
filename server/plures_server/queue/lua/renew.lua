-- ARGV clock, token, visibility ms, then ids
-- Returns the ids that the token still holds.

local deadline = clock_ms(ARGV[1]) + tonumber(ARGV[3])
local held = {}
for i = 4, #ARGV do
  if is_held(ARGV[i], ARGV[2]) then
    call('ZADD', leases, deadline, ARGV[i])
    held[#held + 1] = ARGV[i]
  end
end
return held
