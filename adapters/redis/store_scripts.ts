import { type Script, script } from "./scripts.ts";

/** How many changes are remembered, for watches that look seldom. */
const REMEMBERED = 10_000;
/** How many entries whose time is over are taken away by one script. */
const SOME = 64;
/** How many bytes of keys and values one answer has, and a little more. */
const BYTES = 4_194_304;
/** How many changes are looked through for one whose answer was lost. */
const RECENT = 256;

/** What is kept under the name of a store, in one slot. The order is that of `KEYS`. */
export function storeKeys(name: string): readonly string[] {
  const tag = `{${encodeURIComponent(name)}:s}`;
  return ["values", "names", "expiries", "log", "state"].map((part) => `${tag}:${part}`);
}

/**
 * Values are "revision expires value", where 0 never expires. The log is a stream whose ids are revisions: ms of the
 * server's clock times 1,000, or one more than the last.
 */
const SHARED = `
local values, names, expiries, log, state = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format("%.0f", number) end
local function last() return tonumber(redis.call("HGET", state, "last") or 0) or 0 end
local function tell(kind, key, nonce)
  local revision = math.max(last() + 1, time[1] * 1000000 + time[2])
  redis.call("HSET", state, "last", text(revision))
  redis.call("HSETNX", state, "born", text(revision))
  redis.call("XADD", log, "MAXLEN", "~", ${REMEMBERED}, text(revision) .. "-0", "t", kind, "k", key, "n", nonce)
  return revision
end
local function drop(key, nonce)
  redis.call("HDEL", values, key)
  redis.call("ZREM", names, key)
  redis.call("ZREM", expiries, key)
  return tell("d", key, nonce)
end
local function sweep(most)
  local over = redis.call("ZRANGEBYSCORE", expiries, "-inf", now, "LIMIT", 0, most)
  for _, key in ipairs(over) do drop(key, "") end
  return #over
end
local function find(key)
  local raw = redis.call("HGET", values, key)
  if not raw then return nil end
  local _, at, revision, expires = string.find(raw, "^(%d+) (%d+) ")
  -- What is no entry was put there by somebody else.
  if not at then return nil, nil, nil, true end
  revision, expires = tonumber(revision), tonumber(expires)
  if expires > 0 and expires <= now then return nil, nil, nil, true end
  local left = -1
  if expires > 0 then left = expires - now end
  return revision, string.sub(raw, at + 1), left, true
end
local function fits(expected, revision)
  if expected == "" then return true end
  if expected == "absent" then return revision == nil end
  return revision == tonumber(expected)
end
`;

/** `key`: its revision and value. */
export const getScript: Script = script(
  "store.get",
  `${SHARED}
local revision, value = find(ARGV[1])
if not revision then return false end
return { revision, value }`,
);

/** `key value expected ttl nonce keys`: what came of it, the revision, and the one before it if nothing was between. */
export const putScript: Script = script(
  "store.put",
  `${SHARED}
local key, value, expected, ttl, nonce, keys = unpack(ARGV)
local before = last()
local swept = sweep(${SOME})
local found, _, _, there = find(key)
if not fits(expected, found) then return { "conflict", found or 0 } end
if not there and redis.call("HLEN", values) >= tonumber(keys) then return { "full" } end
local expires = 0
if ttl ~= "" then expires = math.min(now + tonumber(ttl), 9000000000000000) end
local revision = tell("p", key, nonce)
redis.call("HSET", values, key, text(revision) .. " " .. text(expires) .. " " .. value)
redis.call("ZADD", names, 0, key)
if expires > 0 then redis.call("ZADD", expiries, text(expires), key) else redis.call("ZREM", expiries, key) end
if swept > 0 then before = -1 end
return { "done", revision, before }`,
);

/** `key expected nonce`: what came of it, the revision or 0, and the one before it if nothing was between. */
export const deleteScript: Script = script(
  "store.delete",
  `${SHARED}
local key, expected, nonce = unpack(ARGV)
local before = last()
local swept = sweep(${SOME})
local found, _, _, there = find(key)
if not fits(expected, found) then return { "conflict", found or 0 } end
if not there then return { "done", 0, -1 } end
local revision = drop(key, nonce)
if swept > 0 then before = -1 end
return { "done", revision, before }`,
);

/** `nonce`: the revision of the write that had it, if it is among the last. */
export const settleScript: Script = script(
  "store.settle",
  `${SHARED}
for _, item in ipairs(redis.call("XREVRANGE", log, "+", "-", "COUNT", ${RECENT})) do
  if item[2][6] == ARGV[1] then return tonumber(string.sub(item[1], 1, -3)) end
end
return false`,
);

/** `from prefix limit`: the last revision, whether there may be more, and entries by key. */
export const listScript: Script = script(
  "store.list",
  `${SHARED}
local from, prefix, limit = unpack(ARGV)
limit = tonumber(limit)
local to = "(" .. prefix .. "\\255"
local entries, bytes = {}, 0
while #entries < limit do
  local keys = redis.call("ZRANGEBYLEX", names, from, to, "LIMIT", 0, 128)
  for _, key in ipairs(keys) do
    if #entries >= limit or bytes > ${BYTES} then return { last(), 1, entries } end
    local revision, value, left = find(key)
    if revision then
      entries[#entries + 1] = { revision, key, value, left }
      bytes = bytes + #key + #value
    end
  end
  if #keys < 128 then break end
  from = "(" .. keys[#keys]
end
return { last(), 0, entries }`,
);

/**
 * `seen prefix…`: whether all changes since are known, the revision until which it tells them, whether there are
 * more, and the changes of keys that begin like one of these.
 */
export const changesScript: Script = script(
  "store.changes",
  `${SHARED}
local seen = tonumber(ARGV[1])
sweep(${SOME})
if seen > 0 then
  if #redis.call("XRANGE", log, text(seen) .. "-0", text(seen) .. "-0") == 0 then return { "unknown" } end
else
  local oldest = redis.call("XRANGE", log, "-", "+", "COUNT", 1)[1]
  if oldest and oldest[1] ~= redis.call("HGET", state, "born") .. "-0" then return { "unknown" } end
end
local items = redis.call("XRANGE", log, text(seen) .. "-1", "+", "COUNT", 256)
local changes, bytes, till, more = {}, 0, seen, 0
if #items == 256 then more = 1 end
for _, item in ipairs(items) do
  if bytes > ${BYTES} then more = 1 break end
  local revision, kind, key = tonumber(string.sub(item[1], 1, -3)), item[2][2], item[2][4]
  local wanted = false
  for at = 2, #ARGV do
    if string.sub(key, 1, #ARGV[at]) == ARGV[at] then wanted = true break end
  end
  if wanted then
    local current, value, left = find(key)
    if kind == "p" and current == revision then
      changes[#changes + 1] = { revision, key, value, left }
      bytes = bytes + #key + #value
    elseif kind == "d" and not current then
      changes[#changes + 1] = { revision, key }
      bytes = bytes + #key
    end
  end
  till = revision
end
return { "known", till, more, changes }`,
);
