import type { Msg } from "@nats-io/nats-core";
import { sleep } from "../../src/internal/sleep.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { decodeBody } from "./queue_body.ts";
import { type ConsumerState, lastSequence, readConsumer } from "./queue_consumer.ts";
import type { DoneItems } from "./queue_done.ts";
import { type HandOut, HeldItem, readHandOut } from "./queue_held.ts";
import { Intake } from "./queue_intake.ts";
import type { GroupNames, QueueShared } from "./queue_shared.ts";
import { nak, type Stock } from "./queue_stock.ts";

/** How many items are asked for at a time, and how many that nobody has in hands are enough. */
const BATCH = 256;
const ENOUGH = 512;
/** How long to wait for items that are known to be on their way, in ms. */
const ON_THEIR_WAY = 2000;
/** How often to see where strays are, in ms. */
const LOOKING = 250;
/** After how many times `ackWait` what was given back has come again. */
const AGAIN = 1.5;
/** How many lost hand-outs are asked for by their places in the stream. */
const REACH = 20_000;

/** What a flow works with. */
export interface FlowHost {
  readonly shared: QueueShared;
  readonly names: GroupNames;
  readonly stream: string;
  readonly stock: Stock;
  readonly done: DoneItems;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Something came. */
  readonly arrived: () => void;
  /** The server does not answer as it should: see what is the matter. */
  readonly broken: () => void;
}

/** Items on their way from a consumer of the server to the stock of a group's owner; knows which went elsewhere. */
export class Flow {
  readonly #host: FlowHost;
  readonly #clock: Clock;
  readonly #intake: Intake;
  readonly #arrivals: Set<() => void> = new Set();
  /** What is to be added to the server's time to have the monotonic one. */
  #offset: number;
  #open = false;
  #paused = false;
  /** The place in the stream up to which all has come, and which hand-out comes next. */
  #seen: number;
  #next: number;

  constructor(host: FlowHost, state: ConsumerState, offset: number) {
    const { shared, stream, names: { digest } } = host;
    this.#host = host;
    this.#clock = shared.link.runtime.clock;
    this.#offset = offset;
    this.#seen = state.delivered.stream_seq;
    this.#next = state.delivered.consumer_seq + 1;
    this.#intake = new Intake(shared.link, stream, digest, {
      item: (message) => this.#item(message),
      handedOut: (count) => this.#counted(count + 1),
      refused: (code) => code === 404 || code === 408 ? this.refill() : host.broken(),
    });
    this.#doubt(state.num_ack_pending, state.delivered.stream_seq);
  }

  close(): void {
    this.#intake.close();
    for (const arrived of [...this.#arrivals]) arrived();
  }

  /** Somebody wants items: they come from now on. */
  open(): void {
    this.#open = true;
    this.refill();
  }

  /** What was asked for does not come any more, and nothing is asked for until it goes on. */
  pause(): void {
    this.#paused = true;
    this.#intake.reset();
  }

  goOn(): void {
    this.#paused = false;
    this.refill();
  }

  /** Whether nothing was heard for so long that requests must be lost. */
  isSilent(now: number): boolean {
    return this.#intake.look(now);
  }

  refill(): void {
    const { shared: { heldItems, heldBytes, link }, stock, signal } = this.#host;
    const { outstanding } = this.#intake;
    if (!this.#open || this.#paused || outstanding > BATCH / 2 || signal.aborted || !link.up) return;
    const room = heldItems - stock.held.size - outstanding;
    if (room <= 0 || stock.bytes >= heldBytes) return;
    const now = this.#clock.mono();
    if (stock.free(now) < ENOUGH || !stock.group.hasReady(now)) this.#intake.ask(Math.min(BATCH, room));
  }

  /** Waits until all has come that was pushed before. */
  async catchUp(): Promise<void> {
    const { shared, stream, names: { subject }, signal } = this.#host;
    const last = await lastSequence(shared.link, stream, subject);
    if (last <= this.#seen || signal.aborted || this.#intake.outstanding === 0) return;
    await new Promise<void>((resolve) => {
      const leave = (): void => {
        this.#arrivals.delete(look);
        stop();
        resolve();
      };
      const look = (): void => {
        if (this.#seen >= last || signal.aborted) leave();
      };
      const stop = this.#clock.timer(ON_THEIR_WAY, leave);
      this.#arrivals.add(look);
    });
  }

  /** Frees what waits for items that were given back, where the server has none but those that are here. */
  async seekGivenBack(): Promise<void> {
    const { shared: { link, ackWait }, stock: { gate, held }, stream, names: { digest } } = this.#host;
    // Until then the server hands out again also what it did not hear that it has back.
    const until = this.#clock.mono() - AGAIN * ackWait;
    if (!gate.awaits(until)) return;
    const { delivered, num_ack_pending } = await readConsumer(link, stream, digest);
    let here = 0;
    for (const { sequence, acking } of held.values()) {
      if (sequence <= delivered.stream_seq && acking === undefined) here++;
    }
    if (num_ack_pending <= here) gate.forget(until);
  }

  /** After the connection was lost: whatever was handed out since and did not come was lost with it. */
  recount({ delivered, num_ack_pending }: ConsumerState): void {
    const { shared: { acks }, stock: { gate }, stream, names: { digest } } = this.#host;
    const isOnlyMine = gate.strays === 0;
    this.#next = delivered.consumer_seq + 1;
    const strays = num_ack_pending - this.#known(delivered.stream_seq);
    if (strays > 0 && isOnlyMine && delivered.stream_seq - this.#seen <= REACH) {
      const [prefix, rest] = [`$JS.ACK.${stream}.${digest}.1.`, `.${delivered.consumer_seq}.1.0`];
      for (let place = this.#seen + 1; place <= delivered.stream_seq; place++) {
        acks.tell(prefix + place + rest, nak(0));
      }
    }
    gate.foundAll();
    this.#doubt(strays, delivered.stream_seq);
  }

  #item(message: Msg): void {
    const { stock, signal, arrived } = this.#host;
    const handOut = readHandOut(message.reply);
    if (handOut === undefined || signal.aborted) return;
    const { times, sequence, count } = handOut;
    const now = this.#clock.mono();
    this.#counted(count);
    this.#next = count + 1;
    const known = stock.held.get(sequence);
    if (known !== undefined) {
      known.ack = message.reply!;
      known.times = times;
      known.touched = now;
    } else {
      const isClaimed = stock.gate.claims.has(sequence);
      this.#take(message, handOut, now);
      if (times > 1 && !isClaimed) stock.gate.found(sequence);
    }
    if (sequence > this.#seen) this.#seen = sequence;
    this.refill();
    if (this.#arrivals.size > 0) { for (const look of [...this.#arrivals]) look(); }
    arrived();
  }

  #take({ data, reply = "" }: Msg, handOut: HandOut, now: number): void {
    const { shared: { acks, log }, stock, done, names: { topic } } = this.#host;
    if (done.has(handOut.sequence)) return void acks.tell(reply, "+ACK");
    const body = decodeBody(data);
    if (body === undefined) {
      acks.tell(reply, "+TERM");
      return log("error", "queue_garbage", `What stands at ${handOut.sequence} of "${topic}" is no item`);
    }
    if (handOut.times === 1) this.#offset = Math.min(this.#offset, now - handOut.stored);
    stock.add(new HeldItem(handOut, body, data, reply, now, this.#offset));
  }

  /** Sees whether hand-outs went to somebody else, or got lost. */
  #counted(next: number): void {
    if (next <= this.#next) return;
    const strays = next - this.#next;
    this.#next = next;
    this.#doubt(strays, Infinity);
  }

  /** So many more are with nobody knows whom, up to a place in the stream. */
  #doubt(strays: number, place: number): void {
    const { gate } = this.#host.stock;
    if (strays <= 0) return;
    const isFirst = gate.strays === 0;
    gate.doubt(strays, place);
    if (isFirst) void this.#seekStrays();
  }

  /** How many of those up to a place in the stream are known to be held by whom. */
  #known(place: number): number {
    const { held, gate: { claims } } = this.#host.stock;
    let known = 0;
    for (const { sequence } of held.values()) if (sequence <= place) known++;
    for (const { item, sequence } of claims.values()) if (item === undefined && sequence <= place) known++;
    return known;
  }

  /** Looks until nobody else has an item that was stored before what is kept back because of it. */
  async #seekStrays(): Promise<void> {
    const { shared: { link, ackWait, log }, stock: { gate }, stream, names, signal, arrived } = this.#host;
    const until = this.#clock.mono() + 3 * ackWait;
    while (gate.strays > 0) {
      await sleep(this.#clock, LOOKING, signal);
      if (signal.aborted) return;
      const state = await readConsumer(link, stream, names.digest).catch(() => undefined);
      const known = state === undefined ? 0 : this.#known(state.delivered.stream_seq);
      if (state !== undefined && state.num_ack_pending <= known) gate.foundAll();
      else if (this.#clock.mono() >= until && link.up) {
        log("warn", "queue_strays", `${gate.strays} items of "${names.topic}" did not come back`);
        gate.foundAll();
      }
    }
    arrived();
  }
}
