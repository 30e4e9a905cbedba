-- ARGV … 1 to pause, 0 to go on
-- Returns 1, or 0 when there is no such queue.

if call('HEXISTS', counts, 'incarnation') == 0 then return 0 end
if ARGV[3] == '1' then call('HSET', counts, 'paused', 1) else call('HDEL', counts, 'paused') end
return 1
