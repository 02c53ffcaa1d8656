import { FOR_GROUP, FOR_TOPIC } from "./queue_scripts.ts";
import { type Script, script, sharedScript } from "./scripts.ts";

/** Pushes items, of which each stands so many arguments behind the other; what is not `alone` is kept as far as it fits. */
const pushing = (apart: number, alone: boolean): string =>
  `${FOR_TOPIC}
local refused = {}
local function push()
  endIdle()
  purge()
  local groups = call("HLEN", t .. ":g")
  if groups == 0 then return end
  call("ZREMRANGEBYSCORE", t .. ":n", "-inf", int(now))
  local ids = {}
  for i = 4, #ARGV, ${apart} do ids[#ids + 1] = ARGV[i] end
  local known, seen, fresh = call("ZMSCORE", t .. ":n", unpack(ids)), {}, {}
  for i, id in ipairs(ids) do
    if not known[i] and not seen[id] then
      seen[id] = true
      fresh[#fresh + 1] = 4 + (i - 1) * ${apart}
    end
  end
  if #fresh == 0 then return end
  local limit = tonumber(ARGV[3])
  local function roomFor(wanted)
    if (call("XLEN", t .. ":s") + wanted) * groups <= limit then return wanted end
    local open, count = 0, call("HGET", t .. ":m", "count") or 0
    for _, number in ipairs(call("HVALS", t .. ":g")) do
      local state = call("HMGET", t .. ":" .. number, "count", "done")
      open = open + count - state[1] - state[2]
    end
    return math.max(0, math.min(wanted, math.floor((limit - open) / groups)))
  end
  local tries, room = 4, roomFor(#fresh)
  while room < #fresh and tries > 0 and purge() do tries, room = tries - 1, roomFor(#fresh) end
  if room < #fresh and ${alone} then room = 0 end
  while #fresh > room do refused[ARGV[table.remove(fresh)]] = true end
  if room == 0 then return end
  local first, over, names, holders = numbers(room), later(ARGV[1]), {}, {}
  local ends = int(over)
  for n, at in ipairs(fresh) do
    local number = int(first + n - 1)
    if ARGV[at + 3] ~= "0" then
      local due = int(later(ARGV[at + 3]))
      call("XADD", t .. ":s", number .. "-0", ARGV[at + 1], ARGV[at + 2], "d", due)
    else
      call("XADD", t .. ":s", number .. "-0", ARGV[at + 1], ARGV[at + 2])
    end
    names[2 * n - 1] = ends
    names[2 * n] = ARGV[at]
    holders[2 * n - 1] = number
    holders[2 * n] = groups
  end
  call("ZADD", t .. ":n", unpack(names))
  local tooMany = call("ZCARD", t .. ":n") - tonumber(ARGV[2])
  if tooMany > 0 then call("ZREMRANGEBYRANK", t .. ":n", 0, tooMany - 1) end
  call("PEXPIREAT", t .. ":n", int(math.ceil(over / 1000)))
  if groups > 1 then call("HSET", t .. ":h", unpack(holders)) end
  call("HINCRBY", t .. ":m", "count", room)
  changed()
end
push()
`;

/**
 * Keys: tag. Arguments: how long names are known in ms, how many, how many items may be open, then of each item its id,
 * `v` or `k` and its key, text and delay in ms. Answers `kept`, or `full` and keeps none.
 */
export const PUSH: Script = script(
  "queue.push",
  `${pushing(4, true)}
return next(refused) and "full" or "kept"`,
);

/** The same of a single item, shared by those that one turn pushes: each is kept that has room. */
export const PUSH_ONE: Script = sharedScript(
  "queue.push",
  7,
  `${pushing(8, false)}
local function run(window, names, items, id) return refused[id] and "full" or "kept" end`,
);

/** Keys: tag. Arguments: name, idle in ms or nothing, how many groups there may be. Answers `there` or `full`. */
export const SUBSCRIBE: Script = script(
  "queue.subscribe",
  `${FOR_TOPIC}
endIdle()
local number, seen = call("HGET", t .. ":g", ARGV[1]), now
if number then
  local g = t .. ":" .. number
  local ends, before = call("ZSCORE", t .. ":x", number), call("HGET", g, "idle")
  if ends and before then seen = math.max(seen, ends - before) end
  for _, hold in ipairs(holdsOf(g)) do seen = math.max(seen, tonumber(hold[2])) end
else
  if call("HLEN", t .. ":g") >= tonumber(ARGV[3]) then return "full" end
  call("PERSIST", t .. ":m")
  number = int(numbers(1))
  call("HSET", t .. ":g", ARGV[1], number)
  call("HSET", t .. ":" .. number, "name", ARGV[1], "cursor", number, "low", number, "done", 0,
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
changed()
purge()
return "there"`,
);

/**
 * Keys: what stands in braces. Arguments: the number up to which changes are known. Answers the last one, and the topics
 * with a later one, by their tags; one without a name stands for all, also where there are too many.
 */
export const CHANGES: Script = script(
  "queue.changes",
  `
local v, known = KEYS[1] .. ":v", ARGV[1]
local last = redis.call("ZRANGE", v, -1, -1, "WITHSCORES")[2] or "0"
if tonumber(last) < tonumber(known) then return { last, { "" } } end
local topics = redis.call("ZRANGEBYSCORE", v, "(" .. known, "+inf", "LIMIT", 0, 1000)
return { last, #topics < 1000 and topics or { "" } }`,
);

/** Keys: tag. Arguments: name, nothing to go on taking away. Answers 1 when there may be more to take away. */
export const UNSUBSCRIBE: Script = script(
  "queue.unsubscribe",
  `${FOR_TOPIC}
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
  `${FOR_GROUP}
local number, state = find(ARGV[1])
if not number then return false end
local g = t .. ":" .. number
local items = call("HGET", t .. ":m", "count") or "0"
local from, looked, oldest = "-", 0, nil
local leased, held = 0, {}
for i, hold in ipairs(holdsOf(g)) do
  held[i] = hold[3]
  if tonumber(hold[2]) > now then leased = leased + select(2, string.gsub(hold[3], "%d+", "")) end
end
held = table.concat(held)
local function has(item)
  return tonumber(item) > tonumber(state[2]) or call("ZSCORE", g .. ":d", item) or call("ZSCORE", g .. ":b", item) or
    string.find(held, " " .. item .. " ", 1, true)
end
local left = int(items - state[4] - state[5])
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
