import { CatgaError, type Fault, systemFault } from "../../src/result.ts";
import type { Contract } from "../../src/message/contract.ts";
import type { FetchReply } from "../../src/ports/runtime.ts";
import { type Asked, readProblem, type RequestToSend } from "./ask.ts";
import type { Attempt } from "./attempt.ts";
import { readEvents } from "./event_source.ts";

/** The answers to a stream's message, out of server-sent events; the request is sent when the first is asked for. */
export async function* flow(
  ask: () => Asked | Fault,
  attempt: (contract: Contract) => Attempt,
  request: (url: string, init: RequestToSend) => FetchReply | Promise<FetchReply>,
): AsyncGenerator<unknown, void, undefined> {
  const question = ask();
  if ("code" in question) throw new CatgaError(question);
  const { contract, url, init } = question;
  const under = attempt(contract);
  try {
    if (under.fault !== undefined) throw new CatgaError(under.fault);
    const reply = await under.race(Promise.resolve(request(url, { ...init, signal: under.signal })));
    if (reply.status < 200 || reply.status > 299) {
      throw new CatgaError(readProblem(contract, reply.status, await under.race(reply.text())));
    }
    for await (const { event, data } of readEvents(chunksOf(reply.body, under))) {
      if (event === "end") return;
      const value: unknown = JSON.parse(data);
      if (event === "fault") throw new CatgaError(readProblem(contract, 500, data));
      if (event === "message") yield value;
    }
    throw new CatgaError(
      systemFault("TRANSPORT", `The answers to "${contract.type}" ended before their end`),
    );
  } catch (thrown) {
    throw CatgaError.is(thrown) ? thrown : new CatgaError(under.failed(thrown));
  } finally {
    under.end();
  }
}

type Chunk = { readonly done?: boolean | undefined; readonly value?: Uint8Array | undefined };
type Chunks = AsyncIterable<Uint8Array> & Partial<Pick<ReadableStream<Uint8Array>, "getReader">>;

/** The chunks of a body, with the attempt's limit on each wait. Not every browser can iterate a body. */
async function* chunksOf(body: Chunks | null, under: Attempt): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader?.();
  const iterator = reader === undefined ? body[Symbol.asyncIterator]() : undefined;
  try {
    while (true) {
      under.wait();
      const next = await under.race<Chunk>(reader?.read() ?? iterator!.next());
      under.pause();
      if (next.done === true) return;
      yield next.value!;
    }
  } finally {
    void (reader?.cancel() ?? iterator?.return?.())?.catch(() => {});
  }
}
