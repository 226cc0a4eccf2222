-- Writes a partition: checks everything, then stores; so that nothing is half done where something is wrong.
-- Arguments: whether an earlier try was lost; the id of this write with its version; partition, node, epoch, version, condition;
-- how ('r': what is not named is removed, 'q': all that is named may be there); expiry, limits of the partition and of the
-- session, now; then for each key: key, condition, where its value is, length of the value, value.
local PUTS, STEP = 13, 5
-- Where a value is: nowhere, as the key is removed; or in a command that follows in the same transaction.
local NOWHERE, FOLLOWS = '0', '2'
-- Writes that a partition remembers, to know them when they come again; in fields 0 to 7.
local RECENT = 8
local found

-- The short way, for keys that are there already. Lua makes its time: so it stands before all else, makes few strings and no numbers
-- of what stays as it is. What it cannot do goes on below; nothing was done then.
if ARGV[1] == '0' and ARGV[8] == 'q' then
    local session, name, version, condition, match = KEYS[1], ARGV[3], ARGV[6], ARGV[7], string.match
    local heading, now = '=' .. name, tonumber(ARGV[12])
    local fields, last = { '@fence', heading, '@bytes', name .. '@' .. ARGV[PUTS] }, 4
    for at = PUTS + STEP, #ARGV, STEP do
        last = last + 1
        fields[last] = name .. '@' .. ARGV[at]
    end
    found = redis.call('HMGET', session, unpack(fields))
    local epoch, ends, owner = match(found[1] or '', '^(%d+) (%d+) 0 (.*)$')
    local at, writes, kept, expires, keys, bytes =
        match(found[2] or '', '^(%d+) (%d)( %d+ (%S+) (%d+) )(%d+)$')
    local goes = epoch and now < tonumber(ends)
        and (ARGV[4] == '' or owner == '' or owner == ARGV[4]) and (ARGV[5] == '' or ARGV[5] == epoch)
        and at and tonumber(at) < tonumber(version) and (expires == '-' or now < tonumber(expires))
        and keys ~= '0' and (condition == '*' or condition == '+' or condition == at)
    local set, gone = { heading, '', '', ARGV[2], '', '', '', '' }, nil
    local size, n, put = tonumber(bytes), 4, PUTS
    for i = 4, goes and last or 0 do
        local known, length, place = match(found[i] or '', '^(%d+) (%d+)( %d+)$')
        local wanted, new = ARGV[put + 1], ARGV[put + 3]
        goes = known and (wanted == '*' or wanted == '+' or wanted == known)
        if not goes then
            break
        end
        if new ~= length then
            size = size - tonumber(length) + tonumber(new)
        end
        set[n + 1], set[n + 2] = fields[i], version .. ' ' .. new .. place
        n = n + 2
        local field = name .. '#' .. ARGV[put]
        if ARGV[put + 2] == FOLLOWS then
            gone = gone or {}
            gone[#gone + 1] = field
        else
            set[n + 1], set[n + 2] = field, ARGV[put + 4]
            n = n + 2
        end
        put = put + STEP
    end
    if goes and size <= tonumber(ARGV[10]) then
        local total, before = tonumber(found[3]), tonumber(bytes)
        if size ~= before then
            total, bytes = total - before + size, string.format('%.0f', size)
            set[n + 1], set[n + 2] = '@bytes', string.format('%.0f', total)
            n = n + 2
        end
        if total <= tonumber(ARGV[11]) then
            local next = writes + 1
            set[2] = version .. ' ' .. string.sub('12345670', next, next) .. kept .. bytes
            set[3] = '!' .. name .. ':' .. writes
            redis.call('HSET', session, unpack(set, 1, n))
            if gone then
                redis.call('HDEL', session, unpack(gone))
            end
            return 'done'
        end
    end
end
