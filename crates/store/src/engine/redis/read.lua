-- Reads all of a partition at one moment, or what changed. Arguments: partition, now; and of what changed, since which version.
-- Of rows it tells in turn: key, what is known of it, value.
local name, now, since = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local text = redis.call('HGET', session, '=' .. name)
local head = head_of(text)
if not head or (head.expires and now >= head.expires) then
    return false
end
local is_delta = since and since >= tonumber(head.floor)
local keys, fields = keys_of(name, head.keys), {}
for i = 1, #keys do
    fields[i] = name .. '@' .. keys[i]
end
local known, wanted, values = get(fields), {}, {}
for i = 1, #keys do
    if not is_delta or tonumber((known_of(known[i]))) > since then
        wanted[#wanted + 1] = i
        values[#values + 1] = name .. '#' .. keys[i]
    end
end
values = get(values)
local rows, removed = {}, {}
for n, i in ipairs(wanted) do
    rows[3 * n - 2], rows[3 * n - 1], rows[3 * n] = keys[i], known[i], values[n]
end
if is_delta then
    for _, gone in ipairs(removed_of(redis.call('HGET', session, '!' .. name))) do
        if tonumber(gone[1]) > since then
            removed[#removed + 1] = gone[2]
            removed[#removed + 1] = gone[1]
        end
    end
end
return { text, is_delta and 1 or 0, rows, removed }
