-- ARGV clock, chunks, visibility ms, most attempts, dead letters kept
-- Returns {token, then (id, payload, attempt) a chunk}, or {} when nothing is ready.

local now = clock_ms(ARGV[1])
local wanted = tonumber(ARGV[2])

-- Whoever asks for work brings back what others lost: there is no sweeper that could die.
local expired = call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 2 * wanted)
for i = #expired, 1, -1 do
  end_attempt(expired[i], 'its lease expired: the worker died or stalled', 'LPUSH', tonumber(ARGV[4]), tonumber(ARGV[5]))
end

local ids = call('LPOP', ready, wanted)
if not ids then return {} end

-- The incarnation fences holders of a queue of the same name that was deleted.
local epoch = call('HINCRBY', counts, 'epoch', 1)
local token = string.format('%s-%d', call('HGET', counts, 'incarnation'), epoch)
local packed = call('HMGET', payloads, unpack(ids))
local lease, tokens, deadlines, items = {token}, {}, {}, 0
for i, id in ipairs(ids) do
  lease[3 * i - 1], lease[3 * i], lease[3 * i + 1] = id, packed[i], call('HINCRBY', attempts, id, 1)
  tokens[2 * i - 1], tokens[2 * i] = id, token
  deadlines[2 * i - 1], deadlines[2 * i] = now + tonumber(ARGV[3]), id
  items = items + items_of(id)
end
call('HSET', holders, unpack(tokens))
call('ZADD', leases, unpack(deadlines))
count('ready', -items)
count('leased', items)
return lease
