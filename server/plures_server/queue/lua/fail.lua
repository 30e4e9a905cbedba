-- ARGV … token, error, attempts before halving, most attempts, dead letters kept, then ids
-- A chunk that failed goes to the back of the queue, behind what may yet succeed.

local limits = {tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])}
for i = 8, #ARGV do
  if is_held(ARGV[i], ARGV[3]) then end_attempt(ARGV[i], ARGV[4], true, limits) end
end
