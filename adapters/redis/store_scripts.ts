import { type Script, script, sharedScript } from "./scripts.ts";

/** How many changes are remembered, for watches that look seldom. */
const REMEMBERED = 10_000;
/** How many entries whose time is over are taken away by one script. */
const SOME = 64;
/** Of how many writes one looks for such entries, by its revision. */
const SELDOM = 8;
/** How many bytes of keys and values one answer has, and a little more. */
const BYTES = 4_194_304;
/** How many changes are looked through for one whose answer was lost. */
const RECENT = 1024;

/** What is kept under the name of a store, in one slot. The order is that of `KEYS`. */
export function storeKeys(name: string): readonly string[] {
  const tag = `{${encodeURIComponent(name)}:s}`;
  return ["values", "names", "expiries", "log"].map((part) => `${tag}:${part}`);
}

/**
 * Values are "revision expires value", where 0 never expires; what no key can be, the empty one, has the last revision
 * and the first one, of 16 digits each. The log is a stream whose ids are revisions: µs of the server's clock, or one
 * more than the last.
 */
const SHARED = `
local values, names, expiries, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call = redis.call
local time = call("TIME")
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local last, born
local function text(number) return string.format("%.0f", number) end
local function begin(key)
  if last then return call("HGET", values, key) end
  local found = call("HMGET", values, "", key)
  last = tonumber(string.sub(found[1] or "", 1, 16)) or 0
  if last > 0 then born = string.sub(found[1], 18) end
  return found[2]
end
local function tell(kind, key, nonce)
  last = math.max(last + 1, micros)
  local id = text(last)
  call("XADD", log, "MAXLEN", "~", "${REMEMBERED}", id .. "-0", kind .. key, nonce)
  born = born or id
  return id, id .. " " .. born
end
local function drop(key, nonce, expires)
  local _, head = tell("d", key, nonce)
  call("HSET", values, "", head)
  call("HDEL", values, key)
  call("ZREM", names, key)
  if expires then call("ZREM", expiries, key) end
end
local function sweep()
  local over = call("ZRANGEBYSCORE", expiries, "-inf", now, "LIMIT", 0, ${SOME})
  for _, key in ipairs(over) do drop(key, "", true) end
  return #over > 0
end
local function find(raw)
  if not raw then return nil end
  local _, at, revision, expires = string.find(raw, "^(%d+) (%d+) ")
  -- What is no entry was put there by somebody else.
  if not at then return nil end
  revision, expires = tonumber(revision), tonumber(expires)
  if expires == 0 then return revision, at, -1 end
  if expires > now then return revision, at, expires - now end
  return nil
end
local function fits(expected, revision)
  if expected == "" then return true end
  if expected == "absent" then return revision == nil end
  return revision == tonumber(expected)
end
`;

/** `key`: its revision and value. */
export const getScript: Script = sharedScript(
  "store.get",
  1,
  `${SHARED}
local function run(key)
  local raw = call("HGET", values, key)
  local revision, at = find(raw)
  return revision and { revision, string.sub(raw, at + 1) }
end`,
);

/**
 * `p key value expected ttl nonce keys`, or `d key "" expected "" nonce ""`: what came of it, the revision, or 0 if there
 * was nothing to delete, and the one before it if nothing was between.
 */
export const writeScript: Script = sharedScript(
  "store.write",
  7,
  `${SHARED}
local function isFull(keys) return call("HLEN", values) > tonumber(keys) end
local function run(kind, key, value, expected, ttl, nonce, keys)
  local raw = begin(key)
  local before = last
  if last % ${SELDOM} == 0 and sweep() then before, raw = -1, call("HGET", values, key) end
  local found, _, left = find(raw)
  if not fits(expected, found) then return { "conflict", found or 0 } end
  if kind == "d" then
    if not raw then return { "done", 0, -1 } end
    drop(key, nonce, left ~= -1)
    return { "done", last, before }
  end
  if not raw and isFull(keys) then
    before = -1
    if not sweep() or isFull(keys) then return { "full" } end
  end
  local expires = "0"
  if ttl ~= "" then expires = text(math.min(now + tonumber(ttl), 9000000000000000)) end
  local id, head = tell("p", key, nonce)
  call("HSET", values, "", head, key, id .. " " .. expires .. " " .. value)
  if not raw then call("ZADD", names, "0", key) end
  if expires ~= "0" then call("ZADD", expiries, expires, key)
  elseif raw and left ~= -1 then call("ZREM", expiries, key) end
  return { "done", last, before }
end`,
);

/** `nonce`: the revision of the write that had it, if it is among the last. */
export const settleScript: Script = sharedScript(
  "store.settle",
  1,
  `
local revisions = {}
for _, item in ipairs(redis.call("XREVRANGE", KEYS[4], "+", "-", "COUNT", ${RECENT})) do
  revisions[item[2][2]] = tonumber(string.sub(item[1], 1, -3))
end
local function run(nonce) return revisions[nonce] or false end`,
);

/** `from prefix limit`: the last revision, whether there may be more, and entries by key. */
export const listScript: Script = script(
  "store.list",
  `${SHARED}
local from, prefix, limit = unpack(ARGV)
limit = tonumber(limit)
begin("")
local to = "(" .. prefix .. "\\255"
local entries, bytes = {}, 0
while #entries < limit do
  local keys = call("ZRANGEBYLEX", names, from, to, "LIMIT", 0, 128)
  for _, key in ipairs(keys) do
    if #entries >= limit or bytes > ${BYTES} then return { last, 1, entries } end
    local raw = call("HGET", values, key)
    local revision, at, left = find(raw)
    if revision then
      entries[#entries + 1] = { revision, key, string.sub(raw, at + 1), left }
      bytes = bytes + #key + #raw
    end
  end
  if #keys < 128 then break end
  from = "(" .. keys[#keys]
end
return { last, 0, entries }`,
);

/**
 * `seen prefix…`: whether all changes since are known, the revision until which it tells them, whether there are
 * more, and the changes of keys that begin like one of these.
 */
export const changesScript: Script = script(
  "store.changes",
  `${SHARED}
local seen = tonumber(ARGV[1])
begin("")
sweep()
if seen > 0 then
  if #call("XRANGE", log, text(seen) .. "-0", text(seen) .. "-0") == 0 then return { "unknown" } end
else
  local oldest = call("XRANGE", log, "-", "+", "COUNT", 1)[1]
  if oldest and oldest[1] ~= (born or "") .. "-0" then return { "unknown" } end
end
local items = call("XRANGE", log, text(seen) .. "-1", "+", "COUNT", 256)
local changes, bytes, till, more = {}, 0, seen, 0
if #items == 256 then more = 1 end
for _, item in ipairs(items) do
  if bytes > ${BYTES} then more = 1 break end
  local revision, change = tonumber(string.sub(item[1], 1, -3)), item[2][1]
  local kind, key = string.sub(change, 1, 1), string.sub(change, 2)
  local wanted = false
  for at = 2, #ARGV do
    if string.sub(key, 1, #ARGV[at]) == ARGV[at] then wanted = true break end
  end
  if wanted then
    local raw = call("HGET", values, key)
    local current, at, left = find(raw)
    if kind == "p" and current == revision then
      changes[#changes + 1] = { revision, key, string.sub(raw, at + 1), left }
      bytes = bytes + #key + #raw
    elseif kind == "d" and not current then
      changes[#changes + 1] = { revision, key }
      bytes = bytes + #key
    end
  end
  till = revision
end
return { "known", till, more, changes }`,
);
