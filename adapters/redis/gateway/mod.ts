/**
 * The Upstash REST protocol, served from any Redis: for development, for tests and to host it yourself.
 *
 * @module
 */
export { type RedisGateway, redisGateway, type RedisGatewayOptions } from "./gateway.ts";
