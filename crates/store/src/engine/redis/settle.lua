-- Ends a transaction in which values follow their write: where the write was refused, a value of no key is not kept.
-- Arguments: partition, keys.
local session, name = KEYS[1], ARGV[1]
for i = 2, #ARGV do
    if redis.call('HEXISTS', session, name .. '@' .. ARGV[i]) == 0 then
        redis.call('HDEL', session, name .. '#' .. ARGV[i])
    end
end
