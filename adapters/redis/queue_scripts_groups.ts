import { SHARED } from "./queue_scripts.ts";
import { type Script, script } from "./scripts.ts";

/**
 * Keys: tag. Arguments: how long names are known in ms, how many, how many items may be open, then of each item its id,
 * key, text and delay in ms. Answers `kept` or `full`.
 */
export const PUSH: Script = script(
  "queue.push",
  `${SHARED}
endIdle()
purge()
local groups = call("HLEN", t .. ":g")
if groups == 0 then return "kept" end
call("ZREMRANGEBYSCORE", t .. ":n", "-inf", int(now))
local ids = {}
for i = 4, #ARGV, 4 do ids[#ids + 1] = ARGV[i] end
local known, seen, fresh = call("ZMSCORE", t .. ":n", unpack(ids)), {}, {}
for i, id in ipairs(ids) do
  if not known[i] and not seen[id] then
    seen[id] = true
    fresh[#fresh + 1] = 4 * i
  end
end
if #fresh == 0 then return "kept" end
local limit = tonumber(ARGV[3])
local function isFull()
  if (call("XLEN", t .. ":s") + #fresh) * groups <= limit then return false end
  local open, count = #fresh * groups, call("HGET", t .. ":m", "count") or 0
  for _, number in ipairs(call("HVALS", t .. ":g")) do
    local state = call("HMGET", t .. ":" .. number, "count", "done")
    open = open + count - state[1] - state[2]
  end
  return open > limit
end
local tries = 4
while isFull() and tries > 0 and purge() do tries = tries - 1 end
if isFull() then return "full" end
local first, names, holders = numbers(#fresh), {}, {}
for n, at in ipairs(fresh) do
  local number = int(first + n - 1)
  local delay = tonumber(ARGV[at + 3])
  call("XADD", t .. ":s", number .. "-0", "k", ARGV[at + 1], "v", ARGV[at + 2], "d",
    delay > 0 and int(later(delay)) or "0")
  names[2 * n - 1] = int(later(ARGV[1]))
  names[2 * n] = ARGV[at]
  holders[2 * n - 1] = number
  holders[2 * n] = groups
end
call("ZADD", t .. ":n", unpack(names))
local tooMany = call("ZCARD", t .. ":n") - tonumber(ARGV[2])
if tooMany > 0 then call("ZREMRANGEBYRANK", t .. ":n", 0, tooMany - 1) end
call("PEXPIREAT", t .. ":n", int(math.ceil(later(ARGV[1]) / 1000)))
if groups > 1 then call("HSET", t .. ":h", unpack(holders)) end
call("HINCRBY", t .. ":m", "count", #fresh)
return "kept"`,
);

/** Keys: tag. Arguments: name, idle in ms or nothing, how many groups there may be. Answers `there` or `full`. */
export const SUBSCRIBE: Script = script(
  "queue.subscribe",
  `${SHARED}
endIdle()
local number, seen = call("HGET", t .. ":g", ARGV[1]), now
if number then
  local g = t .. ":" .. number
  local ends, before = call("ZSCORE", t .. ":x", number), call("HGET", g, "idle")
  if ends and before then seen = math.max(seen, ends - before) end
  for _, hold in ipairs(call("HVALS", g .. ":h")) do seen = math.max(seen, tonumber(string.match(hold, "^%d+"))) end
else
  if call("HLEN", t .. ":g") >= tonumber(ARGV[3]) then return "full" end
  call("PERSIST", t .. ":m")
  number = int(numbers(1))
  call("HSET", t .. ":g", ARGV[1], number)
  call("HSET", t .. ":" .. number, "name", ARGV[1], "cursor", number, "done", 0,
    "count", call("HGET", t .. ":m", "count") or 0)
end
call("ZREM", t .. ":x", number)
if ARGV[2] == "" then
  call("HDEL", t .. ":" .. number, "idle")
else
  local idle = math.min(math.ceil(ARGV[2] * 1000), 9007199254740991)
  call("HSET", t .. ":" .. number, "idle", int(idle))
  see(number, idle, seen)
end
purge()
return "there"`,
);

/** Keys: tag. Arguments: name, nothing to go on taking away. Answers 1 when there may be more to take away. */
export const UNSUBSCRIBE: Script = script(
  "queue.unsubscribe",
  `${SHARED}
local number = call("HGET", t .. ":g", ARGV[1])
if number then finish(number) end
return purge() and 1 or 0`,
);

/**
 * Keys: tag. Arguments: name. Answers how many items there are and in hands, and how old the oldest is, in µs; of one
 * behind 5000 items that only other groups have, how old these are.
 */
export const BACKLOG: Script = script(
  "queue.backlog",
  `${SHARED}
local number, state = find(ARGV[1])
if not number then return false end
local g = t .. ":" .. number
local items = call("HGET", t .. ":m", "count") or "0"
local from, looked, oldest = "-", 0, nil
local holds, leased = call("HVALS", g .. ":h"), 0
local held = table.concat(holds)
local function has(item)
  return tonumber(item) > tonumber(state[1]) or call("ZSCORE", g .. ":d", item) or call("ZSCORE", g .. ":b", item) or
    string.find(held, " " .. item .. " ", 1, true)
end
for _, hold in ipairs(holds) do
  local ends, items = string.match(hold, "^(%d+)(.*)$")
  if tonumber(ends) > now then leased = leased + select(2, string.gsub(items, "%d+", "")) end
end
local left = int(items - state[3] - state[4])
while left ~= "0" and not oldest do
  local entries = call("XRANGE", t .. ":s", from, "+", "COUNT", looked == 0 and 1 or 50)
  looked = looked + #entries
  for _, entry in ipairs(entries) do
    local item = string.match(entry[1], "^%d+")
    from = int(item + 1)
    if has(item) or looked > 5000 then
      oldest = item
      break
    end
  end
  if #entries == 0 then break end
end
return { left, leased,
  int(oldest and math.max(0, now - oldest) or 0) }`,
);
