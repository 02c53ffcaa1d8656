import { type Script, script } from "./scripts.ts";

/** How many endpoints are told at most. */
export const MOST = 1024;
/** How many endpoints are listed at most. */
const LISTED = 4096;

/** What is kept under the name of a list, in one slot. The order is that of `KEYS`. */
export function discoveryKeys(name: string): readonly string[] {
  const tag = `{${encodeURIComponent(name)}:d}`;
  return ["leases", "owners", "state"].map((part) => `${tag}:${part}`);
}

/** The version is the server's clock in µs, or one more than the last; owners are "epoch id". */
const SHARED = `
local leases, owners, state = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local version = tonumber(redis.call("HGET", state, "version") or 0) or 0
local function step()
  version = math.max(version + 1, time[1] * 1000000 + time[2])
  redis.call("HSET", state, "version", string.format("%.0f", version))
  return version
end
local function strike(endpoint)
  redis.call("ZREM", leases, endpoint)
  redis.call("HDEL", owners, endpoint)
  step()
end
local function ownerOf(endpoint)
  local owner = redis.call("HGET", owners, endpoint)
  if not owner then return nil end
  local _, at, epoch = string.find(owner, "^(%d+) ")
  if not at then return nil end
  return string.sub(owner, at + 1), tonumber(epoch)
end
`;

/**
 * `endpoint id epoch lease known`: how it stands with the endpoint, its epoch, the version, and the list if the version
 * is another one. Without an endpoint it only looks.
 */
export const beatScript: Script = script(
  "discovery.beat",
  `${SHARED}
local endpoint, id, epoch, lease, known = unpack(ARGV)
epoch = tonumber(epoch)
for _, each in ipairs(redis.call("ZRANGEBYSCORE", leases, "-inf", now, "LIMIT", 0, 1000)) do
  if each ~= endpoint then strike(each) end
end
local status = "looks"
if endpoint ~= "" then
  local owner, current = ownerOf(endpoint)
  if owner and owner ~= id and epoch > 0 and current > epoch then
    status = "replaced"
  elseif not owner and redis.call("ZCARD", leases) >= ${LISTED} then
    status = "full"
  else
    status = "listed"
    if owner == id then
      epoch = current
    else
      epoch = step()
      redis.call("HSET", owners, endpoint, string.format("%.0f", epoch) .. " " .. id)
    end
    redis.call("ZADD", leases, now + tonumber(lease), endpoint)
  end
end
if version == tonumber(known) then return { status, epoch, version, false } end
return { status, epoch, version, redis.call("ZREVRANGE", leases, 0, ${MOST - 1}) }`,
);

/** `endpoint id`: strikes it off, unless another has taken its place. */
export const leaveScript: Script = script(
  "discovery.leave",
  `${SHARED}
if ownerOf(ARGV[1]) ~= ARGV[2] then return 0 end
strike(ARGV[1])
return 1`,
);
