-- All partitions: a name and a head in turn.
local names = redis.call('HGET', session, '@names')
local found, fields = {}, {}
for name in string.gmatch(names or '', '[^\n]+') do
    found[#found + 1] = name
    fields[#fields + 1] = '=' .. name
end
local heads = get(fields)
local answer = {}
for i = 1, #found do
    answer[2 * i - 1] = found[i]
    answer[2 * i] = heads[i]
end
return answer
