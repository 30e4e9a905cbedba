-- ARGV … submit id, incarnation, most items, submits remembered, most results, place, depth, ms to live (0: for ever),
-- then (kind, items, payload) a chunk
-- Returns {'accepted' or 'duplicate', items} or {'full', items on the queue} or {'unread', results kept}.

local submit_id = ARGV[3]
local seen = call('HGET', submits, submit_id)
if seen then return {'duplicate', tonumber(string.match(seen, '^%d+'))} end

local items = 0
for i = 12, #ARGV, 3 do items = items + tonumber(ARGV[i]) end
local depth = tonumber(call('HGET', counts, 'ready') or 0) + tonumber(call('HGET', counts, 'leased') or 0)
if depth + items > tonumber(ARGV[5]) then return {'full', depth} end
local unread = call('XLEN', results)
if unread >= tonumber(ARGV[7]) then return {'unread', unread} end

call('HSETNX', counts, 'incarnation', ARGV[4])
local tenant, priority = string.match(ARGV[8], '^(.*)/(%d)$')
local first, last
for i = 11, #ARGV, 3 do
  last = put(string.format('%s/%s/%d', tenant, ARGV[i], priority), ARGV[9], ARGV[i + 1], ARGV[i + 2])
  first = first or last
  if ARGV[10] ~= '0' then call('HSET', expiries, last, clock_ms() + tonumber(ARGV[10])) end
end

call('HSET', submits, submit_id, string.format('%d %s %s', items, first, last))
if call('RPUSH', submit_order, submit_id) > tonumber(ARGV[6]) then
  call('HDEL', submits, call('LPOP', submit_order))
end
return {'accepted', items}
