-- ARGV token, error, most attempts, dead letters kept, then ids
-- A chunk that failed goes to the back of the queue, behind what may yet succeed.

for i = 5, #ARGV do
  if is_held(ARGV[i], ARGV[1]) then
    end_attempt(ARGV[i], ARGV[2], 'RPUSH', tonumber(ARGV[3]), tonumber(ARGV[4]))
  end
end
