/**
 * What the scripts of the queue share. What is kept under the tag `t` of a topic, times in µs since 1970 by the server's
 * clock: `t:s` a stream of the items that some group has not done with, whose ids are their numbers, each as its text
 * under `v`, or `k` and its key, and when it is due under `d` if that is later; `t:m` the `last` number given and the
 * `count` of items pushed; `t:n` names by the time until which they are known; `t:g` groups by name; `t:x` those that
 * end when idle, by that time; `t:h` how many groups still have an item, where it was more than one; `t:e` the groups
 * that have ended and left something.
 *
 * Of a group: `t:<number>` its state, with the number up to which it has looked (`cursor`) and up to which all is done
 * (`low`), what is in hands and a time before which none of that is over (`soon`): in `h<hold>` until when a hold is, where
 * it has all it had and nothing else of the stream in between `=` and the cursor before it, and its items; in `k<hold>`
 * their keys. Of the items up to the cursor `:d` has those that are due, by when; `:b` those behind another with their key;
 * `:a` how often an item came back; `:t` the last item of each key; `:n` the item behind an item with its key, and when
 * it is due; `:o` is the state of a group that has ended.
 *
 * Of all topics, under what stands in braces: `:v` those in which there may be something to take, by a number that grows
 * each time; the one without a name stands for all, from when the list was begun.
 *
 * A number is the time of its push or one more than the last one, so it grows also after all was lost.
 */
const BASE = `
local t, call = KEYS[1], redis.call
local time = call("TIME")
local now = time[1] * 1000000 + time[2]
local function int(n) return string.format("%.0f", n) end
local function later(ms) return math.min(now + math.ceil(ms * 1000), 9007199254740991) end
local function changed()
  local v = string.match(t, "^[^}]+}") .. ":v"
  local last = call("ZRANGE", v, -1, -1, "WITHSCORES")[2]
  local at = math.max(now, (last or 0) + 1)
  if not last then call("ZADD", v, int(at), "") end
  call("ZADD", v, int(at + 1), t)
  if call("ZCARD", v) > 10000 then call("ZREMRANGEBYRANK", v, 0, 999) end
end
local function see(number, idle, moment)
  if idle then call("ZADD", t .. ":x", "GT", int(math.min(moment + idle, 9007199254740991)), number) end
end`;

const HOLDS = `
local function holdsOf(key)
  local all, holds = call("HGETALL", key), {}
  for i = 1, #all, 2 do
    local name = string.match(all[i], "^h(.*)")
    if name then holds[#holds + 1] = { name, string.match(all[i + 1], "^(%d+)[^ ]*(.*)$") } end
  end
  return holds
end
`;

const RELEASE = `
local function release(items)
  if #items == 0 then return end
  local gone = items
  if call("EXISTS", t .. ":h") == 1 then
    local rest, none = {}, {}
    gone = {}
    for i, count in ipairs(call("HMGET", t .. ":h", unpack(items))) do
      if tonumber(count or 1) > 1 then
        rest[#rest + 1] = items[i]
        rest[#rest + 1] = count - 1
      else
        gone[#gone + 1] = items[i]
        if count then none[#none + 1] = items[i] end
      end
    end
    if #rest > 0 then call("HSET", t .. ":h", unpack(rest)) end
    if #none > 0 then call("HDEL", t .. ":h", unpack(none)) end
  end
  if #gone > 0 then call("XDEL", t .. ":s", unpack(gone)) end
end
`;

const GROUPS = `
local function numbers(count)
  local first = math.max(tonumber(call("HGET", t .. ":m", "last") or "0") + 1, now)
  call("HSET", t .. ":m", "last", int(first + count - 1))
  return first
end
local function finish(number)
  local g = t .. ":" .. number
  local state = call("HMGET", g, "name", "cursor")
  call("RENAME", g, g .. ":o")
  call("ZREM", t .. ":x", number)
  call("HDEL", t .. ":g", state[1])
  call("RPUSH", t .. ":e", number .. " " .. state[2] .. " " .. int(numbers(1)))
  changed()
end
local function find(name, known)
  local fields = { "name", "cursor", "idle", "count", "done", "soon" }
  local number = known
  local state = known and call("HMGET", t .. ":" .. known, unpack(fields))
  if not state or state[1] ~= name then
    number = call("HGET", t .. ":g", name)
    if not number then return nil end
    state = call("HMGET", t .. ":" .. number, unpack(fields))
  end
  if not state[3] or tonumber(call("ZSCORE", t .. ":x", number) or "0") > now then return number, state end
  finish(number)
  return nil
end
`;

const PURGE = `
local function purge()
  local ended = call("LINDEX", t .. ":e", 0)
  if not ended then
    if call("EXISTS", t .. ":g") == 0 then call("PEXPIRE", t .. ":m", 86400000) end
    return false
  end
  local number, cursor, last = string.match(ended, "^(%d+) (%d+) (%d+)$")
  local g = t .. ":" .. number
  local items, holds = {}, holdsOf(g .. ":o")
  local from = g .. ":d"
  local all = call("ZRANGE", from, 0, 499)
  if #all == 0 then
    from = g .. ":b"
    all = call("ZRANGE", from, 0, 499)
  end
  if #holds > 0 then
    for _, hold in ipairs(holds) do
      for item in string.gmatch(hold[3], "%d+") do items[#items + 1] = item end
      call("HDEL", g .. ":o", "h" .. hold[1])
      if #items >= 1000 then break end
    end
  elseif #all > 0 then
    items = all
    call("ZREM", from, unpack(all))
  else
    call("UNLINK", g .. ":a", g .. ":t", g .. ":n", g .. ":o")
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
`;

/** For those that look after all groups of a topic. */
export const FOR_TOPIC: string = BASE + HOLDS + RELEASE + GROUPS + PURGE;
/** For those that look for what is in a group. */
export const FOR_GROUP: string = BASE + HOLDS + GROUPS;
/** For those about what is in hands. */
export const FOR_HELD: string = BASE + HOLDS + RELEASE;
