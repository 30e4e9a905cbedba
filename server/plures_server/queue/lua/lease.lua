-- ARGV … chunks, visibility ms, attempts before halving, most attempts, dead letters kept, then kinds
-- Returns {token, then (id, payload, attempt) a chunk}, or {} when nothing is ready.

local now = clock_ms()
local wanted, visibility = tonumber(ARGV[3]), tonumber(ARGV[4])
local limits = {tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])}

-- When the clock was set back, leases granted before would not end for as long.
local longest = math.max(visibility, tonumber(call('HGET', counts, 'longest') or 0))
for _, id in ipairs(call('ZRANGEBYSCORE', leases, string.format('(%d', now + longest), '+inf')) do
  call('ZADD', leases, now + longest, id)
end

-- Whoever asks for work brings back what others lost: there is no sweeper that could die.
for _, id in ipairs(call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 2 * wanted)) do
  end_attempt(id, 'its lease expired: the worker died or stalled', false, limits)
end
if call('HEXISTS', counts, 'paused') == 1 then return {} end

-- A tenant's next chunks of the kinds asked for, as many as are wanted at most, in the order in which they are served.
local function next_of(tenant, most)
  local found = {}
  for i = 8, #ARGV do
    local kind = tenant .. '/' .. ARGV[i]
    for _, id in ipairs(call('ZRANGEBYLEX', ready, '[' .. kind .. '/', '(' .. kind .. '0', 'LIMIT', 0, most)) do
      found[#found + 1] = {id, string.sub(id, #kind + 1)}
    end
  end
  if #ARGV > 8 then table.sort(found, function(a, b) return a[2] < b[2] end) end
  return found
end

-- Fair queueing by start times (Goyal, Vin & Cheng 1996): who was served least is next, and pays by the item.
-- Equals go by name, as they are stored: a lease of two chunks takes what two leases of one would.
local function goes_before(a, b)
  return a.time < b.time or a.time == b.time and a.tenant < b.tenant
end

local flows, ids = {}, {}
local served = call('ZRANGE', tenants, 0, -1, 'WITHSCORES')
for i = 1, #served, 2 do flows[#flows + 1] = {tenant = served[i], time = tonumber(served[i + 1]), at = 0} end
while #ids < wanted and #flows > 0 do
  local least = 1
  for i = 2, #flows do if goes_before(flows[i], flows[least]) then least = i end end
  local flow = flows[least]
  flow.next = flow.next or next_of(flow.tenant, wanted - #ids)
  flow.at = flow.at + 1
  local found = flow.next[flow.at]
  if found then
    ids[#ids + 1] = found[1]
    call('ZREM', ready, found[1])
    call('HSET', counts, 'served', string.format('%d', flow.time))
    flow.time = flow.time + items_of(found[1])
    call('ZADD', tenants, flow.time, flow.tenant)
  else
    table.remove(flows, least)
    local any = call('ZRANGEBYLEX', ready, '[' .. flow.tenant .. '/', '(' .. flow.tenant .. '0', 'LIMIT', 0, 1)
    if #any == 0 then call('ZREM', tenants, flow.tenant) end
  end
end
if #ids == 0 then return {} end

-- The incarnation fences holders of a queue of the same name that was deleted.
local epoch = call('HINCRBY', counts, 'epoch', 1)
local token = string.format('%s-%d', call('HGET', counts, 'incarnation'), epoch)
local lease, tokens, deadlines, roots = {token}, {}, {}, {}
for i, id in ipairs(ids) do roots[i] = root_of(id) end
local packed, expiry = call('HMGET', payloads, unpack(roots)), call('HMGET', expiries, unpack(roots))
for i, id in ipairs(ids) do
  local items = items_of(id)
  count('ready', -items)
  if expiry[i] and tonumber(expiry[i]) <= now then
    bury(id, 'nobody began it in its time to live', limits[3])
  else
    local at = #tokens
    lease[#lease + 1], lease[#lease + 2], lease[#lease + 3] = id, packed[i], call('HINCRBY', attempts, id, 1)
    tokens[at + 1], tokens[at + 2] = id, token
    deadlines[at + 1], deadlines[at + 2] = now + visibility, id
    count('leased', items)
  end
end
if #tokens == 0 then return {} end
call('HSET', holders, unpack(tokens))
call('ZADD', leases, unpack(deadlines))
call('HSET', counts, 'longest', string.format('%d', longest))
return lease
