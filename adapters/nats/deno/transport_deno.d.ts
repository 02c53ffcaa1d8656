/** The part of `jsr:@nats-io/transport-deno` that is used here. */
declare module "@nats-io/transport-deno" {
  export function connect(
    options?: import("@nats-io/nats-core").ConnectionOptions,
  ): Promise<import("@nats-io/nats-core").NatsConnection>;
}
