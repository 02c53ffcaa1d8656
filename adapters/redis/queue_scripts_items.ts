import { SHARED } from "./queue_scripts.ts";
import { type Script, script } from "./scripts.ts";

/**
 * Keys: tag. Arguments: name, how many at most (1000 or less), how long to hold them in ms, how long whoever asks waits
 * in ms. Answers the items, each as its word and its text, when there may be one that is not there yet (in ms; -1 for never), 1 where not everything
 * was looked at, after how many ms the group ends when idle (-1 for never), its number and the name of their hold.
 */
export const TAKE: Script = script(
  "queue.take",
  `${SHARED}
local number, state = find(ARGV[1])
if not number then return false end
local g = t .. ":" .. number
local cursor, idle = tonumber(state[1]), tonumber(state[2] or "")
local max, ends = tonumber(ARGV[2]), later(ARGV[3])
local taken, hands, ready, gone = {}, {}, {}, {}
local count, size, looked, index, hold = 0, 0, 0, 1, ""

local due = call("ZRANGEBYSCORE", g .. ":d", "-inf", int(now), "WITHSCORES", "LIMIT", 0, max)
for i = 1, #due, 2 do
  local each, moment = due[i], tonumber(due[i + 1])
  if string.find(each, "%D") then
    for item in string.gmatch(string.match(call("HGET", g .. ":h", each), " .*"), "%d+") do
      call("ZADD", g .. ":d", int(moment), item)
      call("HINCRBY", g .. ":a", item, 1)
      ready[#ready + 1] = { item, moment }
    end
    call("HDEL", g .. ":h", each)
    call("ZREM", g .. ":d", each)
  else
    ready[#ready + 1] = { each, moment }
  end
end

local function isFull() return count >= max or size > 1048576 end
local function give(item, fields, attempt)
  count = count + 1
  hands[count] = item
  local isPlain = attempt == 1 and fields[2] == ""
  taken[2 * count - 1] = isPlain and item or item .. " " .. attempt .. fields[2]
  taken[2 * count] = fields[4]
  if count == 1 then hold = item .. "." .. attempt end
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
  if fields[2] == "" then return false end
  local tail = call("HGET", g .. ":t", fields[2])
  call("HSET", g .. ":t", fields[2], item)
  if not tail then return false end
  call("HSET", g .. ":n", tail, item .. " " .. fields[6])
  call("ZADD", g .. ":b", item, item)
  return true
end

local some = 0
while looked < 1024 and not isFull() do
  some = math.min(100, max - count)
  local entries = call("XRANGE", t .. ":s", int(cursor + 1), "+", "COUNT", some)
  for _, entry in ipairs(entries) do
    local item, fields = string.match(entry[1], "^%d+"), entry[2]
    local place, moment = tonumber(item), tonumber(fields[6])
    if moment == 0 then giveReady(place) end
    if isFull() then break end
    cursor = place
    looked = looked + 1
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
if looked > 0 then call("HSET", g, "cursor", int(cursor)) end
if count > 0 then
  call("ZADD", g .. ":d", int(ends), hold)
  call("HSET", g .. ":h", hold, int(ends) .. " " .. table.concat(hands, " ") .. " ")
  see(number, idle, ends)
  return { taken, -1, 0, -1, number, hold }
end
if idle then see(number, idle, math.min(later(ARGV[4]), now + idle / 2)) end
local soonest = call("ZRANGE", g .. ":d", 0, 0, "WITHSCORES")[2]
return { taken, soonest and int(math.max(0, math.ceil((soonest - now) / 1000))) or -1,
  looked >= 1024 and 1 or 0, idle and int(idle / 1000) or -1, number }`,
);

/** What a group has in hands: all that was taken at once is one hold, and an item that is held for longer is one alone. */
const HELD = `${SHARED}
local number = ARGV[1]
local g = t .. ":" .. number
local state = call("HMGET", g, "cursor", "idle")
local lives, idle = state[1], tonumber(state[2] or "")
local function itemsOf(hold)
  local kept = lives and call("HGET", g .. ":h", hold)
  if not kept then return nil end
  local ends, items = string.match(kept, "^(%d+)(.*)$")
  if tonumber(ends) > now then return items, ends end
end
local function keep(hold, ends, items)
  if string.find(items, "%d") then return call("HSET", g .. ":h", hold, ends .. items) end
  call("ZREM", g .. ":d", hold)
  call("HDEL", g .. ":h", hold)
end
local function letGo(hold, item, attempt)
  local alone = item .. ":" .. attempt
  if itemsOf(alone) then
    keep(alone, "", "")
    return true
  end
  local items, ends = itemsOf(hold)
  local at = items and string.find(items, " " .. item .. " ", 1, true)
  if not at then return false end
  keep(hold, ends, string.sub(items, 1, at) .. string.sub(items, at + #item + 2))
  return true
end
local function isOpen(item)
  if call("ZSCORE", g .. ":d", item) then return true end
  for _, items in ipairs(call("HVALS", g .. ":h")) do
    if string.find(items, " " .. item .. " ", 1, true) then return true end
  end
  return false
end
`;

/**
 * Keys: tag. Arguments: the group's number, then of each hold its name, how many of its items, and of each item its
 * number, and where it came again or has a key the attempt and the key behind it; or `all`, if none did or has. Answers
 * for each hold a digit for each item, 1 if it is done with (`all` or `none` for `all`), and how many other items may be
 * taken now.
 */
export const ACK: Script = script(
  "queue.ack",
  `${HELD}
local answers, done, again, freed = {}, {}, {}, 0
local function finish(item, attempt, key)
  done[#done + 1] = item
  if attempt ~= "1" then again[#again + 1] = item end
  if key == "" then return end
  local behind = call("HGET", g .. ":n", item)
  if not behind then return call("HDEL", g .. ":t", key) end
  local other, due = string.match(behind, "^(%d+) (%d+)$")
  call("HDEL", g .. ":n", item)
  call("ZREM", g .. ":b", other)
  call("ZADD", g .. ":d", int(math.max(now, tonumber(due))), other)
  freed = freed + 1
end
local function ackAll(hold, count)
  local items = itemsOf(hold)
  if not items then return "none" end
  local all = {}
  for item in string.gmatch(items, "%d+") do all[#all + 1] = item end
  if #all ~= count then return "none" end
  for _, item in ipairs(all) do done[#done + 1] = item end
  keep(hold, "", "")
  return "all"
end
local function ackSome(hold, first, last)
  local items, ends = itemsOf(hold)
  local answer = {}
  items = items or ""
  local from, size, gone = 1, 0, {}
  for i = first, last do
    local item, attempt, key = ARGV[i], "1", ""
    if string.find(item, " ", 1, true) then item, attempt, key = string.match(item, "^(%d+) (%d+)(.*)$") end
    local place = " " .. item .. " "
    local there = string.find(items, place, from, true) or string.find(items, place, 1, true)
    local held = there and not gone[item] or not there and letGo("", item, attempt)
    if held then finish(item, attempt, key) end
    if held and there then from, size, gone[item] = there, size + #item + 1, true end
    answer[#answer + 1] = (held or there or not lives or not isOpen(item)) and "1" or "0"
  end
  if size > 0 then
    local rest = {}
    if size < #items - 1 then
      for item in string.gmatch(items, "%d+") do if not gone[item] then rest[#rest + 1] = item end end
    end
    keep(hold, ends, " " .. table.concat(rest, " ") .. " ")
  end
  return table.concat(answer)
end
local at = 2
while at <= #ARGV do
  local hold, count = ARGV[at], tonumber(ARGV[at + 1])
  if ARGV[at + 2] == "all" then
    answers[#answers + 1] = ackAll(hold, count)
    at = at + 3
  else
    answers[#answers + 1] = ackSome(hold, at + 2, at + 1 + count)
    at = at + 2 + count
  end
end
if #done > 0 then
  if #again > 0 then call("HDEL", g .. ":a", unpack(again)) end
  call("HINCRBY", g, "done", #done)
  see(number, idle, now)
  release(done)
end
return { answers, freed }`,
);

/** Keys: tag. Arguments: the group's number, the item's and its hold, its attempt, a delay in ms. Answers 1 if it was held. */
export const RETRY: Script = script(
  "queue.retry",
  `${HELD}
if not letGo(ARGV[3], ARGV[2], ARGV[4]) then return 0 end
call("ZADD", g .. ":d", int(later(ARGV[5])), ARGV[2])
call("HINCRBY", g .. ":a", ARGV[2], 1)
see(number, idle, now)
return 1`,
);

/** Keys: tag. Arguments: the group's number, the item's and its hold, its attempt, a lease in ms. Answers 1 if it was held. */
export const EXTEND: Script = script(
  "queue.extend",
  `${HELD}
if not letGo(ARGV[3], ARGV[2], ARGV[4]) then return 0 end
local alone = ARGV[2] .. ":" .. ARGV[4]
call("ZADD", g .. ":d", int(later(ARGV[5])), alone)
call("HSET", g .. ":h", alone, int(later(ARGV[5])) .. " " .. ARGV[2] .. " ")
see(number, idle, later(ARGV[5]))
return 1`,
);
