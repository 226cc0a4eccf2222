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

local function head_of(text)
    if not text then
        return nil
    end
    local version, floor, expires, keys, bytes, recent =
        string.match(text, '^(%d+) (%d+) (%S+) (%d+) (%d+) (.*)$')
    return {
        version = version,
        floor = floor,
        expires = tonumber(expires),
        keys = tonumber(keys),
        bytes = tonumber(bytes),
        recent = recent,
    }
end

-- Version, key and bytes of a row, and of what was removed: both are told as 'version length key'.
local function row_of(row)
    local version, length, at = string.match(row, '^(%d+) (%d+) ()')
    return version, string.sub(row, at, at + length - 1), #row - at + 1
end

local function rows_of(name, count)
    local fields = {}
    for i = 1, count do
        fields[i] = name .. ':' .. i
    end
    return get(fields)
end

local function removed_of(text)
    local removed, at = {}, 1
    while text and at <= #text do
        local version, length, key = string.match(text, '^(%d+) (%d+) ()', at)
        at = key + length
        removed[#removed + 1] = { version, string.sub(text, key, at - 1) }
    end
    return removed
end
