-- What all scripts share. The fields of a session's hash are told in layout.rs.
local session = KEYS[1]
local is_retry = ARGV[1] == '1'
-- Lua puts arguments on a stack of 8,000.
local MANY = 2000

local function get(fields)
    local values = {}
    for from = 1, #fields, MANY do
        local to = math.min(from + MANY - 1, #fields)
        local some = redis.call('HMGET', session, unpack(fields, from, to))
        for i = 1, #some do
            values[from + i - 1] = some[i]
        end
    end
    return values
end

local function each(command, arguments)
    for from = 1, #arguments, MANY do
        redis.call(command, session, unpack(arguments, from, math.min(from + MANY - 1, #arguments)))
    end
end

-- Changes nothing, but is a write all the same: WAIT then waits for what this client never wrote itself.
local function touch()
    if redis.call('EXISTS', session) == 1 then
        redis.call('HSET', session, '@touched', '1')
    else
        redis.call('HSET', session, '@touched', '1')
        redis.call('DEL', session)
    end
end

-- A head as '=cart' has it.
local function head_of(text)
    if not text then
        return nil
    end
    local version, writes, floor, expires, keys, bytes =
        string.match(text, '^(%d+) (%d) (%d+) (%S+) (%d+) (%d+)$')
    return {
        version = version,
        writes = writes,
        floor = floor,
        expires = tonumber(expires),
        keys = tonumber(keys),
        bytes = tonumber(bytes),
    }
end

-- Version, length of the value and place of a key, as 'cart@key' has them.
local function known_of(text)
    local version, length, place = string.match(text, '^(%d+) (%d+) (%d+)$')
    return version, tonumber(length), tonumber(place)
end

local function keys_of(name, count)
    local fields = {}
    for i = 1, count do
        fields[i] = name .. ':' .. i
    end
    return get(fields)
end

-- What was removed is told as 'version length key'.
local function removed_of(text)
    local removed, at = {}, 1
    while text and at <= #text do
        local version, length, key = string.match(text, '^(%d+) (%d+) ()', at)
        at = key + length
        removed[#removed + 1] = { version, string.sub(text, key, at - 1) }
    end
    return removed
end
