-- The long way, for all that quick.lua cannot do.
local id, name, node, reign, version = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local condition, replaces, expiry = ARGV[7], ARGV[8] == 'r', ARGV[9]
local limit, session_limit, now = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local removed_max, partitions_max = 256, 1024
-- What ended so long ago, in milliseconds, is not there for anybody, whatever their clocks say.
local LONG_AGO = 3600000

local function holds(wanted, found)
    if wanted == '*' then
        return true
    elseif wanted == '+' then
        return found ~= nil
    elseif wanted == '-' then
        return found == nil
    end
    return wanted == found
end

if not found then
    local fields = { '@fence', '=' .. name, '@bytes' }
    for at = PUTS, #ARGV, STEP do
        fields[#fields + 1] = name .. '@' .. ARGV[at]
    end
    found = get(fields)
end
local head = head_of(found[2])

-- Was it stored by an earlier try, whose answer was lost?
local oldest, remembered = nil, 0
if is_retry and head then
    local ring = {}
    for i = 1, RECENT do
        ring[i] = '!' .. name .. ':' .. (i - 1)
    end
    for _, write in ipairs(get(ring)) do
        if write then
            local known, at, removed, added = string.match(write, '^(%x+ (%d+)) ?(%d*) ?(%d*)$')
            if known == id then
                touch()
                return { 'done', tonumber(removed) or 0, tonumber(added) or 0 }
            end
            at, remembered = tonumber(at), remembered + 1
            oldest = oldest and math.min(oldest, at) or at
        end
    end
end

-- The session.
if not found[1] then
    return { 'none' }
end
local epoch, ends, revoked, owner = string.match(found[1], '^(%d+) (%d+) (%d) (.*)$')
if revoked == '1' then
    return { 'revoked' }
elseif now >= tonumber(ends) then
    return { 'none' }
elseif (node ~= '' and owner ~= '' and owner ~= node) or (reign ~= '' and reign ~= epoch) then
    return { 'fenced', epoch, owner }
end

-- The partition.
if head and tonumber(head.version) >= tonumber(version) then
    if remembered >= RECENT and oldest > tonumber(version) then
        return { 'unknown' }
    end
    return { 'behind', head.version }
end
local is_over = head and head.expires and now >= head.expires
local here = not is_over and head or nil
local present = here and here.keys > 0 and here.version or nil
if not holds(condition, present) then
    return { 'conflict', 0, present or '0' }
end

-- Its keys: where each is, in which version, and how large.
local slots, known = {}, {}
for at = here and PUTS or #ARGV + 1, #ARGV, STEP do
    local key, text = ARGV[at], found[4 + (at - PUTS) / STEP]
    if text then
        local old, length, place = known_of(text)
        slots[key], known[key] = place, { old, #key + length }
    end
end
local bytes = here and not replaces and here.bytes or 0
local named, removed, added = 0, 0, 0
for at = PUTS, #ARGV, STEP do
    local key, old, has_value = ARGV[at], known[ARGV[at]], ARGV[at + 2] ~= NOWHERE
    if not holds(ARGV[at + 1], old and old[1]) then
        return { 'conflict', (at - PUTS) / STEP + 1, old and old[1] or '0' }
    end
    if old then
        named = named + 1
        bytes = bytes - (replaces and 0 or old[2])
    end
    if has_value then
        bytes = bytes + #key + tonumber(ARGV[at + 3])
        added = added + (old and 0 or 1)
    elseif old then
        removed = removed + 1
    end
end
if here and replaces then
    removed = removed + here.keys - named
end
if bytes > limit then
    return { 'large', 'partition', bytes }
end

-- Its name, where that is new.
local all_names = ''
if not head then
    all_names = redis.call('HGET', session, '@names') or ''
    local _, count = string.gsub(all_names, '\n', '')
    if count >= partitions_max then
        return { 'many' }
    end
end

-- The session's size: exactly only where it matters, as that reads all heads.
local total = tonumber(found[3]) - (head and head.bytes or 0) + bytes
local over = {}
if total > session_limit then
    local others, names, heads = 0, {}, {}
    for other in string.gmatch(redis.call('HGET', session, '@names') or '', '[^\n]+') do
        if other ~= name then
            names[#names + 1] = other
            heads[#heads + 1] = '=' .. other
        end
    end
    for i, text in ipairs(get(heads)) do
        local other = head_of(text)
        if not other.expires or now < other.expires then
            others = others + other.bytes
        elseif other.keys > 0 and now >= other.expires + LONG_AGO then
            over[names[i]] = other
        end
    end
    if others + bytes > session_limit then
        return { 'large', 'session', others + bytes }
    end
end

-- From here on it is done. Places are numbered without gaps: the last key takes the place of one that is removed.
local set, gone = {}, {}
local count = here and here.keys or 0

local function put(field, value)
    set[field], gone[field] = value, nil
end

local function drop(field)
    set[field], gone[field] = nil, true
end

local function drop_all(other, of)
    for i, key in ipairs(keys_of(other, of.keys)) do
        drop(other .. ':' .. i)
        drop(other .. '@' .. key)
        drop(other .. '#' .. key)
    end
    drop('!' .. other)
end

local function now_in(field)
    return set[field] or redis.call('HGET', session, field)
end

local function remove(key)
    local place = slots[key]
    if place ~= count then
        local moved = now_in(name .. ':' .. count)
        local at, length = known_of(now_in(name .. '@' .. moved))
        put(name .. ':' .. place, moved)
        put(name .. '@' .. moved, at .. ' ' .. length .. ' ' .. place)
        slots[moved] = place
    end
    drop(name .. ':' .. count)
    drop(name .. '@' .. key)
    drop(name .. '#' .. key)
    slots[key] = nil
    count = count - 1
end

for other, of in pairs(over) do
    drop_all(other, of)
    put('=' .. other, of.version .. ' ' .. of.writes .. ' ' .. of.version .. ' '
        .. string.format('%.0f', of.expires) .. ' 0 0')
    total = total - of.bytes
end
if is_over then
    drop_all(name, head)
end
local forgotten = {}
if here and (removed > 0 or added > 0) then
    forgotten = removed_of(redis.call('HGET', session, '!' .. name))
end
local is_named = {}
for at = PUTS, #ARGV, STEP do
    is_named[ARGV[at]] = ARGV[at + 2] ~= NOWHERE and 'stays' or 'goes'
end
if #forgotten > 0 then
    local kept = {}
    for _, one in ipairs(forgotten) do
        if is_named[one[2]] ~= 'stays' then
            kept[#kept + 1] = one
        end
    end
    forgotten = kept
end
if here and replaces then
    local unnamed = {}
    for i, key in ipairs(keys_of(name, count)) do
        slots[key] = i
        if not is_named[key] then
            unnamed[#unnamed + 1] = key
        end
    end
    for _, key in ipairs(unnamed) do
        remove(key)
        forgotten[#forgotten + 1] = { version, key }
    end
end
for at = PUTS, #ARGV, STEP do
    local key = ARGV[at]
    if ARGV[at + 2] ~= NOWHERE then
        local place = slots[key]
        if not place then
            count = count + 1
            place = count
            slots[key] = place
            put(name .. ':' .. place, key)
        end
        put(name .. '@' .. key, version .. ' ' .. ARGV[at + 3] .. ' ' .. place)
        if ARGV[at + 2] == FOLLOWS then
            drop(name .. '#' .. key)
        else
            put(name .. '#' .. key, ARGV[at + 4])
        end
    elseif slots[key] then
        remove(key)
        forgotten[#forgotten + 1] = { version, key }
    end
end

-- The oldest of too many removed keys are forgotten, with all of their version.
local floor, from = here and here.floor or version, 1
while #forgotten - from + 1 > removed_max do
    local oldest_version = forgotten[from][1]
    while forgotten[from] and forgotten[from][1] == oldest_version do
        from = from + 1
    end
    if tonumber(oldest_version) > tonumber(floor) then
        floor = oldest_version
    end
end
if here and (removed > 0 or added > 0) then
    local texts = {}
    for i = from, #forgotten do
        texts[#texts + 1] = forgotten[i][1] .. ' ' .. #forgotten[i][2] .. ' ' .. forgotten[i][2]
    end
    if #texts > 0 then
        put('!' .. name, table.concat(texts))
    else
        drop('!' .. name)
    end
end

if expiry == '=' then
    expiry = here and here.expires and string.format('%.0f', here.expires) or '-'
end
local writes = head and head.writes or '0'
put('!' .. name .. ':' .. writes, id .. ' ' .. removed .. ' ' .. added)
put('=' .. name, version .. ' ' .. (writes + 1) % RECENT .. ' ' .. floor .. ' ' .. expiry .. ' ' .. count .. ' '
    .. string.format('%.0f', bytes))
put('@bytes', string.format('%.0f', total))
if not head then
    put('@names', all_names .. name .. '\n')
end
local sets, drops = {}, {}
for field, value in pairs(set) do
    sets[#sets + 1] = field
    sets[#sets + 1] = value
end
for field in pairs(gone) do
    drops[#drops + 1] = field
end
-- First what needs memory: where there is none, it is refused, and nothing was done.
each('HSET', sets)
each('HDEL', drops)
return { 'done', removed, added }
