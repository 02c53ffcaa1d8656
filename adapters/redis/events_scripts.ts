import { type Script, script } from "./scripts.ts";

/**
 * What is kept under the tag `t`: `t:log` a stream of all events whose ids are their positions, `t:head` the position
 * and the time of the last one, `t:v:<stream>` a list of the positions of its events, `t:i:<stream>` their versions by id.
 *
 * Positions are µs since 1970 by the server's clock or one more than the last one, so they grow also after all was lost.
 */
const SHARED = `
local t, call = KEYS[1], redis.call
local function int(n) return string.format("%.0f", n) end
local function fields(position)
  local found = call("XRANGE", t .. ":log", position, position)[1]
  return found and found[2]
end
local function event(position, f)
  return { position, f[2], f[4], f[6], f[8], f[10], f[12], f[14] }
end
`;

/** In characters as Redis counts them, bytes: how large is what one read hands out, and how many are read at once. */
const PAGE = `
local SIZE, SOME = 1048576, 32
local function sizeOf(f) return #f[10] + #f[12] + 64 end
`;

/** Keys: tag. Arguments: stream, expected, how many, then for each its id, type, data and meta (`m` before it). */
export const APPEND: Script = script(
  "events.append",
  `${SHARED}
local name, expected, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local versions, ids = t .. ":v:" .. name, t .. ":i:" .. name
local found = call("LLEN", versions)
if count > 0 then
  local asked = {}
  for i = 1, count do asked[i] = ARGV[4 * i] end
  local there = call("HMGET", ids, unpack(asked))
  local first, some, same = tonumber(there[1] or ""), false, true
  for i = 1, count do
    some = some or there[i]
    same = same and first ~= nil and tonumber(there[i] or "") == first + i - 1
  end
  if same then
    local version = first + count - 1
    return { "done", version, call("LINDEX", versions, version - 1) }
  end
  if some then return { "conflict", found } end
end
local fits = expected == "any" or (expected == "absent" and found == 0) or (expected == "exists" and found > 0)
  or tonumber(expected) == found
if not fits then return { "conflict", found } end
if count == 0 then return { "done", found, call("LINDEX", versions, -1) or "0" } end
local time = call("TIME")
local head = call("HMGET", t .. ":head", "position", "at")
local position = math.max(tonumber(head[1] or 0), time[1] * 1000000 + time[2] - 1)
local at = int(math.max(tonumber(head[2] or 0), time[1] * 1000 + math.floor(time[2] / 1000)))
for i = 1, count do
  position = position + 1
  local id, given = ARGV[4 * i], 4 * i
  call("XADD", t .. ":log", int(position) .. "-0", "s", name, "v", int(found + i), "i", id, "t", ARGV[given + 1],
    "d", ARGV[given + 2], "m", ARGV[given + 3], "a", at)
  call("RPUSH", versions, int(position))
  call("HSET", ids, id, int(found + i))
end
call("HSET", t .. ":head", "position", int(position), "at", at)
return { "done", found + count, int(position) }`,
);

/** Keys: tag. Arguments: stream, the first version, how many at most, and 1 for backward. */
export const READ: Script = script(
  "events.read",
  `${SHARED}${PAGE}
local versions = t .. ":v:" .. ARGV[1]
local from, limit, step = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == "1" and -1 or 1
local last = call("LLEN", versions)
if step < 0 then from = math.min(from, last) end
local events, size = {}, 0
while from >= 1 and from <= last and #events < limit and size < SIZE do
  local to = math.max(1, math.min(last, from + step * (math.min(SOME, limit - #events) - 1)))
  local positions = call("LRANGE", versions, math.min(from, to) - 1, math.max(from, to) - 1)
  for i = step > 0 and 1 or #positions, step > 0 and #positions or 1, step do
    if size >= SIZE then break end
    local f = fields(positions[i])
    size = size + sizeOf(f)
    events[#events + 1] = event(positions[i], f)
  end
  from = to + step
end
return events`,
);

/** Keys: tag. Arguments: stream, id. */
export const FIND: Script = script(
  "events.find",
  `${SHARED}
local version = call("HGET", t .. ":i:" .. ARGV[1], ARGV[2])
if not version then return false end
local position = call("LINDEX", t .. ":v:" .. ARGV[1], version - 1)
return event(position, fields(position))`,
);

/** Keys: tag. Arguments: the position before the first, how many at most. */
export const READ_ALL: Script = script(
  "events.readAll",
  `${SHARED}${PAGE}
local after, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local events, size, some = {}, 0, 1
while #events < limit and size < SIZE do
  some = math.min(some, limit - #events)
  local found = call("XRANGE", t .. ":log", int(after + 1), "+", "COUNT", some)
  for _, entry in ipairs(found) do
    if size >= SIZE then break end
    local position = string.match(entry[1], "^%d+")
    after = tonumber(position)
    size = size + sizeOf(entry[2])
    events[#events + 1] = event(position, entry[2])
  end
  if #found < some then break end
  some = SOME
end
return events`,
);

/** Keys: tag. */
export const HEAD: Script = script(
  "events.head",
  `return redis.call("HGET", KEYS[1] .. ":head", "position") or "0"`,
);
