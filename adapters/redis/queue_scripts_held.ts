import { FOR_HELD } from "./queue_scripts.ts";
import { type Script, script } from "./scripts.ts";

/** What a group has in hands: all that was taken at once is one hold, and an item that is held for longer is one alone. */
const HELD = `${FOR_HELD}
local number = ARGV[1]
local g = t .. ":" .. number
local state = call("HMGET", g, "cursor", "idle", "low", "done", "soon", "h" .. ARGV[2], "k" .. ARGV[2])
local lives, idle = state[1], tonumber(state[2] or "")
local function readHold(kept)
  if not kept then return nil end
  local ends, mark, items = string.match(kept, "^(%d+)=?(%d*)(.*)$")
  if tonumber(ends) > now then return items, ends, mark ~= "" and mark end
end
local function itemsOf(hold)
  return readHold(lives and call("HGET", g, "h" .. hold))
end
local function keep(hold, ends, items)
  if string.find(items, "%d") then return call("HSET", g, "h" .. hold, ends .. items) end
  call("HDEL", g, "h" .. hold, "k" .. hold)
end
local function letGo(hold, item, attempt)
  local alone = item .. ":" .. attempt
  local items, ends = itemsOf(alone)
  if items then
    keep(alone, "", "")
    return ends
  end
  items, ends = itemsOf(hold)
  local at = items and string.find(items, " " .. item .. " ", 1, true)
  if not at then return nil end
  keep(hold, ends, string.sub(items, 1, at) .. string.sub(items, at + #item + 2))
  return ends
end
local held
local function isOpen(item)
  if call("ZSCORE", g .. ":d", item) then return true end
  if not held then
    held = {}
    for i, hold in ipairs(holdsOf(g)) do held[i] = hold[3] end
    held = table.concat(held)
  end
  return string.find(held, " " .. item .. " ", 1, true) ~= nil
end
`;

/**
 * Keys: tag. Arguments: the group's number, then of each hold its name, how many of its items, and of each item its
 * number, and where it came again or has a key its attempt and `v` or `k` with the key; or `all`, if none came again.
 * Answers how many other items may be taken now, and for each hold a digit for each item, 1 if it is done with (`all` or
 * `none` for `all`), with blanks between.
 */
export const ACK: Script = script(
  "queue.ack",
  `${HELD}
local answers, done, again, count = {}, {}, {}, 0
local keyed, keys = {}, {}
local function note(item, attempt, key)
  done[#done + 1] = item
  if attempt ~= "1" then again[#again + 1] = item end
  if key == "v" then return end
  keys[#keys + 1] = key
  keyed[#keys] = item
end
local function listOf(items)
  local all = {}
  for item in string.gmatch(items, "%d+") do all[#all + 1] = item end
  return all
end
local anyBehind
local function isAnyBehind()
  if anyBehind == nil then anyBehind = call("EXISTS", g .. ":n") == 1 end
  return anyBehind
end
local low = state[3]
local function trim(items, before)
  if call("EXISTS", t .. ":h") == 1 then return false end
  if before ~= low then
    local first = string.match(items, "^ (%d+)")
    if #call("XRANGE", t .. ":s", int(low + 1), "(" .. first .. "-0", "COUNT", 1) > 0 then return false end
  end
  low = string.match(string.sub(items, -20), "(%d+) $")
  call("XTRIM", t .. ":s", "MINID", "=", int(low + 1))
  return true
end
local at = 2
local function ackAll(hold, size)
  local kept = at == 2 and { state[6], state[7] } or call("HMGET", g, "h" .. hold, "k" .. hold)
  local items, _, before = readHold(kept[1])
  if not items then return "none" end
  local all = (kept[2] and isAnyBehind() or not before) and listOf(items)
  if all and #all ~= size then return "none" end
  if kept[2] then
    for i, key in ipairs(cmsgpack.unpack(kept[2])) do
      if key ~= "v" then
        keys[#keys + 1] = key
        keyed[#keys] = all and all[i]
      end
    end
  end
  if before and trim(items, before) then
    count = count + size
  else
    for _, item in ipairs(all or listOf(items)) do done[#done + 1] = item end
  end
  call("HDEL", g, "h" .. hold, "k" .. hold)
  return "all"
end
local function ackSome(hold, first, last)
  local items, ends = itemsOf(hold)
  local answer = {}
  items = items or ""
  local from, size, gone = 1, 0, {}
  for i = first, last do
    local item, attempt, key = ARGV[i], "1", "v"
    if string.find(item, " ", 1, true) then item, attempt, key = string.match(item, "^(%d+) (%d+) (.*)$") end
    local place = " " .. item .. " "
    local there = string.find(items, place, from, true) or string.find(items, place, 1, true)
    local held = there and not gone[item] or not there and letGo("", item, attempt)
    if held then note(item, attempt, key) end
    if held and there then from, size, gone[item] = there, size + #item + 1, true end
    answer[#answer + 1] = (held or there or not lives or not isOpen(item)) and "1" or "0"
  end
  if size > 0 then
    local rest = {}
    if size < #items - 1 then
      for _, item in ipairs(listOf(items)) do if not gone[item] then rest[#rest + 1] = item end end
    end
    keep(hold, ends, " " .. table.concat(rest, " ") .. " ")
  end
  return table.concat(answer)
end
local function free()
  local last, nexts, others, due = {}, {}, {}, {}
  if not isAnyBehind() then
    if call("HLEN", g .. ":t") == #keys then
      call("UNLINK", g .. ":t")
    else
      call("HDEL", g .. ":t", unpack(keys))
    end
    return 0
  end
  for i, behind in ipairs(call("HMGET", g .. ":n", unpack(keyed))) do
    if behind then
      local other, moment = string.match(behind, "^(%d+) (%d+)$")
      nexts[#nexts + 1] = keyed[i]
      others[#others + 1] = other
      due[#due + 1] = int(math.max(now, tonumber(moment)))
      due[#due + 1] = other
    else
      last[#last + 1] = keys[i]
    end
  end
  if #last > 0 then call("HDEL", g .. ":t", unpack(last)) end
  if #others == 0 then return 0 end
  call("HDEL", g .. ":n", unpack(nexts))
  call("ZREM", g .. ":b", unpack(others))
  call("ZADD", g .. ":d", unpack(due))
  changed()
  return #others
end
while at <= #ARGV do
  local hold, size = ARGV[at], tonumber(ARGV[at + 1])
  if ARGV[at + 2] == "all" then
    answers[#answers + 1] = ackAll(hold, size)
    at = at + 3
  else
    answers[#answers + 1] = ackSome(hold, at + 2, at + 1 + size)
    at = at + 2 + size
  end
end
if #again > 0 then call("HDEL", g .. ":a", unpack(again)) end
if #done + count > 0 then
  call("HSET", g, "done", int(state[4] + #done + count), "low", low)
  see(number, idle, now)
  release(done)
end
return (#keys > 0 and free() or 0) .. " " .. table.concat(answers, " ")`,
);

/** Keys: tag. Arguments: the group's number, the item's hold and number, its attempt, a delay in ms. Answers 1 if it was held. */
export const RETRY: Script = script(
  "queue.retry",
  `${HELD}
if not letGo(ARGV[2], ARGV[3], ARGV[4]) then return 0 end
call("ZADD", g .. ":d", int(later(ARGV[5])), ARGV[3])
call("HINCRBY", g .. ":a", ARGV[3], 1)
see(number, idle, now)
changed()
return 1`,
);

/** Keys: tag. Arguments: the group's number, the item's hold and number, its attempt, a lease in ms. Answers 1 if it was held. */
export const EXTEND: Script = script(
  "queue.extend",
  `${HELD}
local before, ends = letGo(ARGV[2], ARGV[3], ARGV[4]), later(ARGV[5])
if not before then return 0 end
local soon = math.min(ends, tonumber(state[5] or ends))
call("HSET", g, "h" .. ARGV[3] .. ":" .. ARGV[4], int(ends) .. " " .. ARGV[3] .. " ", "soon", int(soon))
see(number, idle, ends)
if ends < tonumber(before) then changed() end
return 1`,
);
