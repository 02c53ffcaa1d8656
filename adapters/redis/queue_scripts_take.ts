import { FOR_GROUP } from "./queue_scripts.ts";
import { type Script, script } from "./scripts.ts";

/**
 * Keys: tag. Arguments: name, how many at most (1000 or less), how long to hold them in ms, how long whoever asks waits
 * in ms, and if known the number of the group. Answers the group's number and those of the items, each with `.` and its
 * attempt where it came again, with blanks between, and then the texts of the items. Their hold is named after the first
 * of them and its attempt. Where there are none: nothing; when there may be an item that is not there yet (in ms; -1 for
 * never); 1 where not everything was looked at; after how many ms the group ends when idle (-1 for never); its number.
 */
export const TAKE: Script = script(
  "queue.take",
  `${FOR_GROUP}
local number, state = find(ARGV[1], ARGV[5])
if not number then return false end
local g = t .. ":" .. number
local cursor, idle, soon = state[2], tonumber(state[3] or ""), tonumber(state[6] or "")
local before, max, ends = cursor, tonumber(ARGV[2]), later(ARGV[3])
local hands, answer, keys, attempts, ready, gone = {}, { "" }, nil, nil, {}, {}
local count, size, looked, index = 0, 0, 0, 1

local function endHolds()
  soon = nil
  for _, hold in ipairs(holdsOf(g)) do
    local name, over, items = hold[1], tonumber(hold[2]), hold[3]
    if over > now then
      soon = math.min(soon or over, over)
    else
      for item in string.gmatch(items, "%d+") do
        call("ZADD", g .. ":d", int(over), item)
        call("HINCRBY", g .. ":a", item, 1)
      end
      call("HDEL", g, "h" .. name, "k" .. name)
    end
  end
  if soon then call("HSET", g, "soon", int(soon)) else call("HDEL", g, "soon") end
end
if soon and soon <= now then endHolds() end
if call("EXISTS", g .. ":d") == 1 then
  local due = call("ZRANGEBYSCORE", g .. ":d", "-inf", int(now), "WITHSCORES", "LIMIT", 0, max)
  for i = 1, #due, 2 do ready[#ready + 1] = { due[i], tonumber(due[i + 1]) } end
end

local function isFull() return count >= max or size > 1048576 end
local function give(item, fields, attempt)
  count = count + 1
  hands[count], answer[count + 1] = item, fields[2]
  if fields[1] ~= "v" then
    keys = keys or {}
    keys[count] = fields[1]
  end
  if attempt then
    attempts = attempts or {}
    attempts[count] = attempt
  end
  size = size + #fields[2]
end
local function giveReady(before)
  while ready[index] and ready[index][2] <= before and not isFull() do
    local item = ready[index][1]
    index = index + 1
    gone[#gone + 1] = item
    local entry = call("XRANGE", t .. ":s", item, item)[1]
    local again = call("HGET", g .. ":a", item)
    if entry then give(item, entry[2], again and again + 1) end
  end
end
local function wait(item, moment)
  call("ZADD", g .. ":d", int(moment), item)
  if moment > now then return end
  local at = #ready + 1
  while at > index and ready[at - 1][2] > moment do at = at - 1 end
  table.insert(ready, at, { item, moment })
end

local tails, moved, nexts, behind, anyTails
local function findTails(entries)
  if anyTails == nil then anyTails = call("EXISTS", g .. ":t") == 1 end
  if not anyTails then return end
  local some = {}
  for _, entry in ipairs(entries) do
    local key = entry[2][1]
    if key ~= "v" and tails[key] == nil then
      tails[key] = false
      some[#some + 1] = key
    end
  end
  if #some == 0 then return end
  local found = call("HMGET", g .. ":t", unpack(some))
  for i, key in ipairs(some) do tails[key] = found[i] end
end
local function isBehind(item, key, moment, entries)
  if not tails then tails, moved, nexts, behind = {}, {}, {}, {} end
  if tails[key] == nil then findTails(entries) end
  local tail = tails[key]
  tails[key], moved[key] = item, item
  if not tail then return false end
  nexts[#nexts + 1] = tail
  nexts[#nexts + 1] = item .. " " .. moment
  behind[#behind + 1] = item
  behind[#behind + 1] = item
  return true
end

while looked < 1024 and not isFull() do
  local some = math.min(100, max - count)
  local entries = call("XRANGE", t .. ":s", "(" .. cursor .. "-0", "+", "COUNT", some)
  for _, entry in ipairs(entries) do
    local item, fields = string.sub(entry[1], 1, -3), entry[2]
    local key, moment = fields[1], fields[4]
    if ready[index] and not moment then giveReady(tonumber(item)) end
    if count >= max or size > 1048576 then break end
    cursor = item
    looked = looked + 1
    if key ~= "v" and isBehind(item, key, moment or "0", entries) then
    elseif moment then
      wait(item, tonumber(moment))
    else
      give(item, fields)
    end
  end
  if #entries < some then break end
end
giveReady(math.huge)

if #gone > 0 then call("ZREM", g .. ":d", unpack(gone)) end
if moved then
  if #nexts > 0 then
    call("HSET", g .. ":n", unpack(nexts))
    call("ZADD", g .. ":b", unpack(behind))
  end
  local last = {}
  for key, item in pairs(moved) do
    last[#last + 1] = key
    last[#last + 1] = item
  end
  call("HSET", g .. ":t", unpack(last))
end
if count > 0 then
  local items = table.concat(hands, " ")
  local hold = hands[1] .. "." .. (attempts and attempts[1] or 1)
  local whole = count == looked and #gone == 0 and "=" .. before or ""
  local kept = { "cursor", cursor, "h" .. hold, int(ends) .. whole .. " " .. items .. " " }
  if not soon or ends < soon then
    kept[#kept + 1] = "soon"
    kept[#kept + 1] = int(ends)
  end
  if keys and not attempts then
    for i = 1, count do keys[i] = keys[i] or "v" end
    kept[#kept + 1] = "k" .. hold
    kept[#kept + 1] = cmsgpack.pack(keys)
  end
  call("HSET", g, unpack(kept))
  see(number, idle, ends)
  if attempts then
    for i, attempt in pairs(attempts) do hands[i] = hands[i] .. "." .. attempt end
    items = table.concat(hands, " ")
  end
  answer[1] = number .. " " .. items
  return answer
end
if looked > 0 then call("HSET", g, "cursor", cursor) end
if idle then see(number, idle, math.min(later(ARGV[4]), now + idle / 2)) end
local soonest = call("ZRANGE", g .. ":d", 0, 0, "WITHSCORES")[2]
if soon then soonest = math.min(soon, tonumber(soonest or soon)) end
return { "", soonest and int(math.max(0, math.ceil((soonest - now) / 1000))) or -1,
  looked >= 1024 and 1 or 0, idle and int(idle / 1000) or -1, number }`,
);
