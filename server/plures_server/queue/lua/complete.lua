-- ARGV clock, token, completions remembered, ms results are kept, then (id, result) a chunk
-- Returns the ids whose result by this token counts, now or since an earlier call whose reply was lost.

local token = ARGV[2]
local accepted = {}
for i = 5, #ARGV, 2 do
  local id = ARGV[i]
  local completion = token .. ' ' .. id
  if is_held(id, token) then
    end_lease(id)
    call('HDEL', payloads, id)
    call('HDEL', attempts, id)
    call('HDEL', errors, id)
    call('XADD', results, '*', 'result', ARGV[i + 1])
    count('done', items_of(id))
    call('ZADD', finished, call('HINCRBY', counts, 'completions', 1), completion)
  end
  if call('ZSCORE', finished, completion) then accepted[#accepted + 1] = id end
end

call('ZREMRANGEBYRANK', finished, 0, -1 - tonumber(ARGV[3]))
local oldest = math.max(0, clock_ms(ARGV[1]) - tonumber(ARGV[4]))
call('XTRIM', results, 'MINID', '~', string.format('%d', oldest))
return accepted
