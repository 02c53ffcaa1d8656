// deno-lint-ignore-file no-explicit-any require-await
/** moleculer in one process, with what a bare call doesn't need switched off. */
import { ServiceBroker } from "moleculer";
import { type Candidate, carriesB } from "../harness/candidate.ts";

export async function start(services: any[], options: object = {}): Promise<any> {
  const broker = new ServiceBroker({
    logger: false,
    metrics: false,
    tracing: false,
    validator: false,
    internalServices: false,
    internalMiddlewares: false,
    ...options,
  });
  for (const service of services) broker.createService(service);
  await broker.start();
  return broker;
}

export const pingService: any = {
  name: "bench",
  actions: { ping: async (context: any) => ({ b: context.params.a }) },
};

let count = 0;

export async function send(): Promise<Candidate> {
  const broker = await start([pingService]);
  return { run: () => broker.call("bench.ping", { a: count++ }), check: carriesB };
}

export async function sendAll(size: number): Promise<Candidate> {
  const broker = await start([pingService]);
  const calls = Array.from({ length: size }, (_, a) => ({ action: "bench.ping", params: { a } }));
  return {
    run: () => broker.mcall(calls),
    per: size,
    check: (answers) => (answers as unknown[]).every(carriesB),
  };
}

export async function publish(listeners: number): Promise<Candidate> {
  let heard = 0;
  const services = Array.from({ length: listeners }, (_, at) => ({
    name: `listener${at}`,
    events: { pinged: async (context: any) => void (heard += context.params.a > -1 ? 1 : 0) },
  }));
  const broker = await start(services);
  return { run: () => broker.emit("pinged", { a: count++ }), check: () => heard === listeners };
}
