-- Removes a session, or all of it but a record. Arguments: the record that is expected; and where one stays: the record, its
-- fence, when Redis may forget it.
local expected, record, fence, ends = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local found = redis.call('HGET', session, '@record') or ''
if is_retry then
    -- It was cleared already, by an earlier try or by others: what is there began anew, and stays.
    local function created(text)
        return string.match(text, '"created_ms":(%d+)')
    end
    if found == (record or '') or created(found) ~= created(expected) then
        touch()
        return { 'done' }
    end
end
if found ~= expected then
    return { 'other', found ~= '' and found }
end
redis.call('UNLINK', session)
if record then
    redis.call('HSET', session, '@record', record, '@fence', fence, '@bytes', '0')
    redis.call('PEXPIREAT', session, ends)
elseif found == '' then
    touch()
end
return { 'done' }
