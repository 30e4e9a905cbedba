-- Stands before every script, after one local for each of the queue's keys.
-- Written for what Redis 6.2 and later and Valkey have in common.

local call = redis.call

-- The server's clock is the one that all clients share; a test passes its own.
local function clock_ms(given)
  if given ~= '0' then return tonumber(given) end
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A chunk id is `sequence:items`, so that counting needs no look-up.
local function items_of(id)
  return tonumber(string.match(id, ':(%d+)$'))
end

local function count(field, change)
  call('HINCRBY', counts, field, change)
end

local function is_held(id, token)
  return call('HGET', holders, id) == token
end

local function end_lease(id)
  call('HDEL', holders, id)
  call('ZREM', leases, id)
  count('leased', -items_of(id))
end

local function make_ready(id, push)
  call(push, ready, id)
  count('ready', items_of(id))
end

-- The oldest dead letters make room: their count stays, their items go.
local function bury(id, error, kept)
  call('RPUSH', dead, id)
  call('HDEL', attempts, id)
  call('HSET', counts, 'last_error', error)
  count('dead', items_of(id))
  if call('LLEN', dead) > kept then
    local oldest = call('LPOP', dead)
    call('HDEL', payloads, oldest)
    call('HDEL', errors, oldest)
  end
end

-- Ends a lease that bore no result. After the last attempt the chunk is given up.
local function end_attempt(id, error, push, max_attempts, dead_kept)
  end_lease(id)
  call('HSET', errors, id, error)
  if tonumber(call('HGET', attempts, id)) < max_attempts then
    make_ready(id, push)
  else
    bury(id, error, dead_kept)
  end
end
