-- ARGV … token, completions remembered, ms results are kept, then (id, result, number of children) a chunk, each followed
-- by its children: (queue or '' for this one, kind, items, payload)
-- Returns the ids whose result by this token counts, now or since an earlier call whose reply was lost. What a chunk put
-- on queues is there if and only if its result counts.

local token = ARGV[3]
local accepted, items, i = {}, 0, 6

local function put_child(id, queue, kind, size, payload)
  local tenant, priority, depth = string.match(id, '^([^/]*)/[^/]*/(%d)/%d+/(%d+)')
  if queue == '' then
    put(string.format('%s/%s/%d', tenant, kind, priority), depth + 1, size, payload)
  else
    -- Another queue may be kept elsewhere: a relay carries it there, as often as it takes.
    call('XADD', outbox, '*', 'queue', queue, 'place', tenant .. '/' .. priority, 'depth', depth + 1,
         'kind', kind, 'items', size, 'payload', payload)
  end
end

local turn = nil
while i <= #ARGV do
  local id, children = ARGV[i], tonumber(ARGV[i + 2])
  local completion = token .. ' ' .. id
  if is_held(id, token) then
    turn = turn or call('HINCRBY', counts, 'completions', 1)
    end_lease(id)
    call('XADD', results, '*', 'result', ARGV[i + 1])
    for child = i + 3, i + 3 + 4 * (children - 1), 4 do
      put_child(id, ARGV[child], ARGV[child + 1], ARGV[child + 2], ARGV[child + 3])
    end
    succeed(id, {})
    call('ZADD', finished, turn, completion)
    items = items + items_of(id)
  end
  if call('ZSCORE', finished, completion) then accepted[#accepted + 1] = id end
  i = i + 3 + 4 * children
end

if items > 0 then
  count('done', items)
  call('ZREMRANGEBYRANK', finished, 0, -1 - tonumber(ARGV[4]))
  local oldest = math.max(0, clock_ms() - tonumber(ARGV[5]))
  call('XTRIM', results, 'MINID', '~', string.format('%d', oldest))
end
return accepted
