-- Reads a partition at one moment. Arguments: partition, now, what; then the version, or the keys.
local name, now, select = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local first = { '=' .. name }
if select == 'keys' then
    for i = 5, #ARGV do
        first[#first + 1] = name .. '#' .. ARGV[i]
    end
end
local found = get(first)
local head = head_of(found[1])
if not head or (head.expires and now >= head.expires) then
    return false
end
local rows, removed, is_delta = {}, {}, 0
if select == 'keys' then
    local fields = {}
    for i = 2, #found do
        if found[i] then
            fields[#fields + 1] = name .. ':' .. found[i]
        end
    end
    rows = get(fields)
elseif select == 'all' then
    rows = rows_of(name, head.keys)
elseif select == 'since' then
    local all, since = rows_of(name, head.keys), tonumber(ARGV[5])
    if since < tonumber(head.floor) then
        rows = all
    else
        is_delta = 1
        for i = 1, #all do
            if tonumber((row_of(all[i]))) > since then
                rows[#rows + 1] = all[i]
            end
        end
        for _, gone in ipairs(removed_of(redis.call('HGET', session, '!' .. name))) do
            if tonumber(gone[1]) > since then
                removed[#removed + 1] = gone[1] .. ' ' .. #gone[2] .. ' ' .. gone[2]
            end
        end
    end
end
return { found[1], is_delta, rows, removed }
