-- Stands before every script, after one local for each of the queue's keys.
-- Written for what Redis 7 and later and Valkey have in common.
-- ARGV begins with: clock in ms (0: the server's), ms that a queue outlives its last use.

local call = redis.call

-- The server's clock is the one that all clients share; a test passes its own.
local function clock_ms()
  if ARGV[1] ~= '0' then return tonumber(ARGV[1]) end
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A chunk's id says all that is fixed about it, and sorts as it is served:
-- tenant/kind/9 - priority/order/depth/root/first/items. `root` is the chunk as it was put, which has the payload;
-- the chunk is `items` of its items from `first` on.
local function items_of(id)
  return tonumber(string.match(id, '%d+$'))
end

local function root_of(id)
  return string.match(id, '(%d+)/%d+/%d+$')
end

local function tenant_of(id)
  return string.match(id, '^[^/]*')
end

local function sequence()
  return string.format('%014d', call('HINCRBY', counts, 'sequence', 1))
end

local function count(field, change)
  call('HINCRBY', counts, field, string.format('%d', change))
end

local function is_held(id, token)
  return call('HGET', holders, id) == token
end

local function end_lease(id)
  call('HDEL', holders, id)
  call('ZREM', leases, id)
  count('leased', -items_of(id))
end

-- A tenant that comes, or comes back, begins at the time up to which the others were served.
local function make_ready(id)
  call('ZADD', ready, 0, id)
  call('ZADD', tenants, 'NX', call('HGET', counts, 'served') or 0, tenant_of(id))
  count('ready', items_of(id))
end

-- A chunk that nobody has seen yet. `place` is its tenant/kind/9 - priority.
local function put(place, depth, items, payload)
  local root = sequence()
  local id = string.format('%s/%s/%d/%s/0/%d', place, root, depth, root, items)
  call('HSET', payloads, root, payload)
  call('HSET', live, root, id)
  make_ready(id)
  return root
end

-- In place of a chunk there are now others of the same root, or none. A root without chunks is forgotten.
local function succeed(id, successors)
  call('HDEL', attempts, id)
  local root = root_of(id)
  for other in string.gmatch(call('HGET', live, root), '%S+') do
    if other ~= id then successors[#successors + 1] = other end
  end
  if #successors > 0 then
    call('HSET', live, root, table.concat(successors, ' '))
  else
    for _, key in ipairs({live, payloads, expiries}) do call('HDEL', key, root) end
  end
end

-- The chunk's items behind all that are waiting, tried as often as before.
local function put_behind(id, tried)
  local place, rest = string.match(id, '^([^/]*/[^/]*/%d)/%d+(/.*)$')
  local successor = place .. '/' .. sequence() .. rest
  succeed(id, {successor})
  if tried > 0 then call('HSET', attempts, successor, tried) end
  make_ready(successor)
end

-- A chunk of several items that keeps failing falls into halves, so that one bad item is found and its neighbours done.
local function bisect(id, tried)
  local head, first, items = string.match(id, '^(.*)/(%d+)/(%d+)$')
  local half = math.ceil(items / 2)
  local halves = {
    string.format('%s/%d/%d', head, first, half), string.format('%s/%d/%d', head, first + half, items - half)
  }
  succeed(id, {halves[1], halves[2]})
  for _, successor in ipairs(halves) do
    call('HSET', attempts, successor, tried)
    make_ready(successor)
  end
end

-- The oldest dead letters make room: their count stays, their items go.
local function bury(id, error, kept)
  call('RPUSH', dead, id)
  call('HDEL', attempts, id)
  call('HSET', errors, id, error)
  call('HSET', counts, 'last_error', error)
  count('dead', items_of(id))
  if call('LLEN', dead) > kept then
    local oldest = call('LPOP', dead)
    call('HDEL', errors, oldest)
    succeed(oldest, {})
  end
end

-- Ends a lease that bore no result. `limits`: attempts before halving, most attempts, dead letters kept.
local function end_attempt(id, error, behind, limits)
  end_lease(id)
  local tried = tonumber(call('HGET', attempts, id))
  if items_of(id) > 1 and tried >= limits[1] then
    bisect(id, tried)
  elseif tried >= limits[2] then
    bury(id, error, limits[3])
  elseif behind then
    put_behind(id, tried)
  else
    make_ready(id)
  end
end
