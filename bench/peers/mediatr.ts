// deno-lint-ignore-file require-await
/** mediatr-ts in one process. */
import * as mediatr from "mediatr-ts";
import { type Candidate, carriesB } from "../harness/candidate.ts";

const { Mediator, NotificationData, notificationHandler, RequestData, requestHandler } = mediatr;

class Ping extends RequestData<{ b: number }> {
  readonly a: number;
  constructor(a: number) {
    super();
    this.a = a;
  }
}
class Pinged extends NotificationData {
  readonly a: number;
  constructor(a: number) {
    super();
    this.a = a;
  }
}
class PingHandler {
  async handle(message: Ping): Promise<{ b: number }> {
    return { b: message.a };
  }
}
requestHandler(Ping)(PingHandler);

let count = 0;

export function send(): Candidate {
  const mediator = new Mediator();
  return { run: () => mediator.send(new Ping(count++)), check: carriesB };
}

export function sendAll(size: number): Candidate {
  const mediator = new Mediator();
  const messages = Array.from({ length: size }, (_, a) => new Ping(a));
  return {
    run: () => Promise.all(messages.map((message) => mediator.send(message))),
    per: size,
    check: (answers) => (answers as unknown[]).every(carriesB),
  };
}

export function publish(listeners: number): Candidate {
  let heard = 0;
  for (let at = 0; at < listeners; at++) {
    class Listener {
      async handle(message: Pinged): Promise<void> {
        heard += message.a > -1 ? 1 : 0;
      }
    }
    notificationHandler(Pinged)(Listener);
  }
  const mediator = new Mediator();
  return { run: () => mediator.publish(new Pinged(count++)), check: () => heard === listeners };
}
