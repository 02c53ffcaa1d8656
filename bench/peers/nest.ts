// deno-lint-ignore-file no-explicit-any require-await
/** @nestjs/cqrs in one process. Decorators are called as the functions they are. */
import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { CommandBus, CommandHandler, CqrsModule, EventBus, EventsHandler } from "@nestjs/cqrs";
import { type Candidate, carriesB } from "../harness/candidate.ts";

class Ping {
  readonly a: number;
  constructor(a: number) {
    this.a = a;
  }
}
class Pinged extends Ping {}

class PingHandler {
  async execute(message: Ping): Promise<{ b: number }> {
    return { b: message.a };
  }
}
CommandHandler(Ping)(PingHandler);

async function start(...providers: any[]): Promise<any> {
  class App {}
  Module({ imports: [CqrsModule.forRoot()], providers })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  return await app.init();
}

let count = 0;

export async function send(): Promise<Candidate> {
  const bus = (await start(PingHandler)).get(CommandBus);
  return { run: () => bus.execute(new Ping(count++)), check: carriesB };
}

export async function sendAll(size: number): Promise<Candidate> {
  const bus = (await start(PingHandler)).get(CommandBus);
  const messages = Array.from({ length: size }, (_, a) => new Ping(a));
  return {
    run: () => Promise.all(messages.map((message) => bus.execute(message))),
    per: size,
    check: (answers) => (answers as unknown[]).every(carriesB),
  };
}

/** Its event bus cannot be awaited, so this stops when the listeners were started. */
export async function publish(listeners: number): Promise<Candidate> {
  let heard = 0;
  const classes = Array.from({ length: listeners }, () => {
    class Listener {
      async handle(message: Pinged): Promise<void> {
        heard += message.a > -1 ? 1 : 0;
      }
    }
    EventsHandler(Pinged)(Listener);
    return Listener;
  });
  const bus = (await start(...classes)).get(EventBus);
  const done = Promise.resolve();
  const run = (): Promise<void> => {
    bus.publish(new Pinged(count++));
    return done;
  };
  return { run, check: () => heard === listeners };
}
