-- ARGV submit id, incarnation, most items, submits remembered, then (items, payload) a chunk
-- Returns {'accepted' or 'duplicate', items} or {'full', items on the queue}.

local submit_id = ARGV[1]
local seen = call('HGET', submits, submit_id)
if seen then return {'duplicate', tonumber(seen)} end

local items = 0
for i = 5, #ARGV, 2 do items = items + tonumber(ARGV[i]) end
local depth = tonumber(call('HGET', counts, 'ready') or 0) + tonumber(call('HGET', counts, 'leased') or 0)
if depth + items > tonumber(ARGV[3]) then return {'full', depth} end

call('HSETNX', counts, 'incarnation', ARGV[2])
local chunks = (#ARGV - 4) / 2
local sequence = call('HINCRBY', counts, 'sequence', chunks) - chunks
for i = 5, #ARGV, 2 do
  sequence = sequence + 1
  local id = string.format('%d:%d', sequence, ARGV[i])
  call('HSET', payloads, id, ARGV[i + 1])
  call('RPUSH', ready, id)
end
count('ready', items)

call('HSET', submits, submit_id, items)
if call('RPUSH', submit_order, submit_id) > tonumber(ARGV[4]) then
  call('HDEL', submits, call('LPOP', submit_order))
end
return {'accepted', items}
