-- ARGV clock, token, completions remembered, ms results are kept, then (id, result) a chunk
-- Returns the ids whose result by this token counts, now or since an earlier call whose reply was lost.

local token = ARGV[2]
local accepted, ended, items, turn = {}, {}, 0, nil
for i = 5, #ARGV, 2 do
  local id = ARGV[i]
  local completion = token .. ' ' .. id
  if is_held(id, token) then
    turn = turn or call('HINCRBY', counts, 'completions', 1)
    call('HDEL', holders, id)
    call('XADD', results, '*', 'result', ARGV[i + 1])
    call('ZADD', finished, turn, completion)
    ended[#ended + 1] = id
    items = items + items_of(id)
  end
  if call('ZSCORE', finished, completion) then accepted[#accepted + 1] = id end
end

if #ended > 0 then
  call('ZREM', leases, unpack(ended))
  for _, key in ipairs({payloads, attempts, errors}) do call('HDEL', key, unpack(ended)) end
  count('leased', -items)
  count('done', items)
  call('ZREMRANGEBYRANK', finished, 0, -1 - tonumber(ARGV[3]))
  local oldest = math.max(0, clock_ms(ARGV[1]) - tonumber(ARGV[4]))
  call('XTRIM', results, 'MINID', '~', string.format('%d', oldest))
end
return accepted
