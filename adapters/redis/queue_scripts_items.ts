import { SHARED } from "./queue_scripts.ts";
import { type Script, script } from "./scripts.ts";

/**
 * Keys: tag. Arguments: name, how many at most (1000 or less), how long to hold them in ms, how long whoever asks waits
 * in ms. Answers the items, when there may be one that is not there yet (in ms; -1 for never), 1 where not everything
 * was looked at, after how many ms the group ends when idle (-1 for never) and its number.
 */
export const TAKE: Script = script(
  "queue.take",
  `${SHARED}
local number = find(ARGV[1])
if not number then return false end
local g = t .. ":" .. number
local state = call("HMGET", g, "cursor", "idle")
local cursor, idle = tonumber(state[1]), tonumber(state[2] or "")
local max, ends = tonumber(ARGV[2]), later(ARGV[3])
local taken, hands, ready, gone, opened = {}, {}, {}, {}, {}
local size, looked, index = 0, 0, 1

local over = call("ZRANGEBYSCORE", g .. ":l", "-inf", int(now), "WITHSCORES", "LIMIT", 0, 1000)
for i = 1, #over, 2 do
  call("ZREM", g .. ":l", over[i])
  call("ZADD", g .. ":d", over[i + 1], over[i])
  call("HINCRBY", g .. ":a", over[i], 1)
end
local due = call("ZRANGEBYSCORE", g .. ":d", "-inf", int(now), "WITHSCORES", "LIMIT", 0, max)
for i = 1, #due, 2 do ready[#ready + 1] = { due[i], tonumber(due[i + 1]) } end

local function isFull() return #taken >= max or size > 1048576 end
local function give(item, fields, attempt)
  taken[#taken + 1] = { item, fields[2], fields[4], fields[6], attempt }
  hands[#hands + 1] = int(ends)
  hands[#hands + 1] = item
  size = size + #fields[4]
end
local function giveReady(before)
  while ready[index] and ready[index][2] <= before and not isFull() do
    local item = ready[index][1]
    index = index + 1
    gone[#gone + 1] = item
    local entry = call("XRANGE", t .. ":s", item, item)[1]
    if entry then give(item, entry[2], tonumber(call("HGET", g .. ":a", item) or "0") + 1) end
  end
end
local function isBehind(item, fields)
  if fields[6] == "" then return false end
  local tail = call("HGET", g .. ":t", fields[6])
  call("HSET", g .. ":t", fields[6], item)
  if tail then call("HSET", g .. ":n", tail, item .. " " .. fields[8]) end
  return tail
end

local some = 0
while looked < 1024 and not isFull() do
  some = math.min(64, max - #taken)
  local entries = call("XRANGE", t .. ":s", int(cursor + 1), "+", "COUNT", some)
  for _, entry in ipairs(entries) do
    local item, fields = string.match(entry[1], "^%d+"), entry[2]
    local place, moment = tonumber(item), tonumber(fields[8])
    if moment == 0 then giveReady(place) end
    if isFull() then break end
    cursor = place
    looked = looked + 1
    opened[#opened + 1] = item
    opened[#opened + 1] = item
    if not isBehind(item, fields) then
      if moment == 0 then
        give(item, fields, 1)
      else
        call("ZADD", g .. ":d", int(moment), item)
        if moment <= now then
          local at = #ready + 1
          while at > index and ready[at - 1][2] > moment do at = at - 1 end
          table.insert(ready, at, { item, moment })
        end
      end
    end
  end
  if #entries < some then break end
end
giveReady(math.huge)

if #gone > 0 then call("ZREM", g .. ":d", unpack(gone)) end
if #hands > 0 then call("ZADD", g .. ":l", unpack(hands)) end
if #opened > 0 then
  call("ZADD", g .. ":o", unpack(opened))
  call("HSET", g, "cursor", int(cursor))
end
if #taken > 0 then
  see(number, idle, ends)
  return { taken, -1, 0, -1, number }
end
if idle then see(number, idle, math.min(later(ARGV[4]), now + idle / 2)) end
local soonest = math.huge
for _, each in ipairs({ ":d", ":l" }) do
  local first = call("ZRANGE", g .. each, 0, 0, "WITHSCORES")[2]
  if first then soonest = math.min(soonest, tonumber(first)) end
end
return { taken, soonest < math.huge and int(math.max(0, math.ceil((soonest - now) / 1000))) or -1,
  looked >= 1024 and 1 or 0, idle and int(idle / 1000) or -1, number }`,
);

/** Whether the items of a group are in hands as they were handed out. */
const HELD = `${SHARED}
local number = ARGV[1]
local g = t .. ":" .. number
local function isHeld(item, attempt)
  local ends = call("ZSCORE", g .. ":l", item)
  return ends and tonumber(ends) > now and tonumber(call("HGET", g .. ":a", item) or "0") + 1 == tonumber(attempt)
end
local function idleOf() return tonumber(call("HGET", g, "idle") or "") end
`;

/**
 * Keys: tag. Arguments: the group's number, then of each item its number, attempt and key. Answers for each 1 if it is
 * done with, and how many others may be taken now.
 */
export const ACK: Script = script(
  "queue.ack",
  `${HELD}
local answers, items, freed = {}, {}, 0
local lives = call("EXISTS", g) == 1
for i = 2, #ARGV, 3 do
  local item, key = ARGV[i], ARGV[i + 2]
  local held = lives and isHeld(item, ARGV[i + 1])
  answers[#answers + 1] = (held or not lives or not call("ZSCORE", g .. ":o", item)) and 1 or 0
  if held then
    items[#items + 1] = item
    call("ZREM", g .. ":l", item)
    if ARGV[i + 1] ~= "1" then call("HDEL", g .. ":a", item) end
    if key ~= "" then
      local behind = call("HGET", g .. ":n", item)
      if behind then
        local other, due = string.match(behind, "^(%d+) (%d+)$")
        call("HDEL", g .. ":n", item)
        call("ZADD", g .. ":d", int(math.max(now, tonumber(due))), other)
        freed = freed + 1
      else
        call("HDEL", g .. ":t", key)
      end
    end
  end
end
if #items > 0 then
  call("ZREM", g .. ":o", unpack(items))
  call("HINCRBY", g, "done", #items)
  see(number, idleOf(), now)
  release(items)
end
return { answers, freed }`,
);

/** Keys: tag. Arguments: the group's number, the item's, its attempt, a delay in ms. Answers 1 if it was held. */
export const RETRY: Script = script(
  "queue.retry",
  `${HELD}
if call("EXISTS", g) == 0 or not isHeld(ARGV[2], ARGV[3]) then return 0 end
call("ZREM", g .. ":l", ARGV[2])
call("ZADD", g .. ":d", int(later(ARGV[4])), ARGV[2])
call("HINCRBY", g .. ":a", ARGV[2], 1)
see(number, idleOf(), now)
return 1`,
);

/** Keys: tag. Arguments: the group's number, the item's, its attempt, a lease in ms. Answers 1 if it was held. */
export const EXTEND: Script = script(
  "queue.extend",
  `${HELD}
if call("EXISTS", g) == 0 or not isHeld(ARGV[2], ARGV[3]) then return 0 end
call("ZADD", g .. ":l", int(later(ARGV[4])), ARGV[2])
see(number, idleOf(), later(ARGV[4]))
return 1`,
);
