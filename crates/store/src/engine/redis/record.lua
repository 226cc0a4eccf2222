-- Stores a record where another one, or none, is. Arguments: the record, its fence, its epoch, when Redis may forget it, and the
-- record that is expected.
local record, fence, epoch, ends, expected = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local found = get({ '@record', '@fence' })
if is_retry and found[1] == record then
    touch()
    return { 'done' }
end
local is_older = found[2] and tonumber(string.match(found[2], '^%d+')) > epoch
if (found[1] or '') ~= expected or is_older then
    return { 'other', found[1] }
end
if found[1] then
    redis.call('HSET', session, '@record', record, '@fence', fence)
else
    redis.call('HSET', session, '@record', record, '@fence', fence, '@bytes', '0')
end
redis.call('PEXPIREAT', session, ends)
return { 'done' }
