/**
 * What the scripts of the queue share. What is kept under the tag `t` of a topic, times in µs since 1970 by the server's
 * clock: `t:s` a stream of the items that some group has not done with, whose ids are their numbers; `t:m` the `last`
 * number given and the `count` of items pushed; `t:n` names by the time until
 * which they are known; `t:g` groups by name; `t:x` those that end when idle, by that time; `t:h` how many groups still
 * have an item, where it was more than one; `t:e` the groups that have ended and left something.
 *
 * Of a group: `t:<number>` its state, then of the items up to its `cursor` with `:d` those that are due, by when,
 * and what is in hands, by until when; `:h` until when each hold is and what it has; `:b` those behind another with their key; `:a` how often an item came back; `:t` the
 * last item of each key; `:n` the item behind an item with its key, and when it is due.
 *
 * A number is the time of its push or one more than the last one, so it grows also after all was lost.
 */
export const SHARED = `
local t, call = KEYS[1], redis.call
local time = call("TIME")
local now = time[1] * 1000000 + time[2]
local function int(n) return string.format("%.0f", n) end
local function later(ms) return math.min(now + math.ceil(ms * 1000), 9007199254740991) end
local function numbers(count)
  local first = math.max(tonumber(call("HGET", t .. ":m", "last") or "0") + 1, now)
  call("HSET", t .. ":m", "last", int(first + count - 1))
  return first
end
local function release(items)
  if #items == 0 then return end
  local gone = items
  if call("EXISTS", t .. ":h") == 1 then
    gone = {}
    for _, item in ipairs(items) do
      if call("HINCRBY", t .. ":h", item, -1) <= 0 then
        call("HDEL", t .. ":h", item)
        gone[#gone + 1] = item
      end
    end
  end
  if #gone > 0 then call("XDEL", t .. ":s", unpack(gone)) end
end
local function finish(number)
  local g = t .. ":" .. number
  local state = call("HMGET", g, "name", "cursor")
  call("DEL", g)
  call("ZREM", t .. ":x", number)
  call("HDEL", t .. ":g", state[1])
  call("RPUSH", t .. ":e", number .. " " .. state[2] .. " " .. int(numbers(1)))
end
local function purge()
  local ended = call("LINDEX", t .. ":e", 0)
  if not ended then
    if call("EXISTS", t .. ":g") == 0 then call("PEXPIRE", t .. ":m", 86400000) end
    return false
  end
  local number, cursor, last = string.match(ended, "^(%d+) (%d+) (%d+)$")
  local g = t .. ":" .. number
  local items, from = {}, g .. ":d"
  local all = call("ZRANGE", from, 0, 499)
  if #all == 0 then
    from = g .. ":b"
    all = call("ZRANGE", from, 0, 499)
  end
  if #all > 0 then
    local last = 0
    for i, each in ipairs(all) do
      if string.find(each, "%D") then
        for item in string.gmatch(string.match(call("HGET", g .. ":h", each), " .*"), "%d+") do items[#items + 1] = item end
        call("HDEL", g .. ":h", each)
      else
        items[#items + 1] = each
      end
      last = i
      if #items >= 1000 then break end
    end
    call("ZREM", from, unpack(all, 1, last))
  else
    call("UNLINK", g .. ":a", g .. ":t", g .. ":n")
    local entries = call("XRANGE", t .. ":s", int(cursor + 1), last, "COUNT", 50)
    for i, entry in ipairs(entries) do items[i] = string.match(entry[1], "^%d+") end
    if #items < 50 then
      call("LPOP", t .. ":e")
    else
      call("LSET", t .. ":e", 0, number .. " " .. items[#items] .. " " .. last)
    end
  end
  release(items)
  return true
end
local function endIdle()
  for _, number in ipairs(call("ZRANGEBYSCORE", t .. ":x", "-inf", int(now))) do finish(number) end
end
local function find(name)
  local number = call("HGET", t .. ":g", name)
  if not number then return nil end
  local state = call("HMGET", t .. ":" .. number, "cursor", "idle", "count", "done")
  if not state[2] or tonumber(call("ZSCORE", t .. ":x", number) or "0") > now then return number, state end
  finish(number)
  return nil
end
local function see(number, idle, moment)
  if idle then call("ZADD", t .. ":x", "GT", int(math.min(moment + idle, 9007199254740991)), number) end
end
`;
