interface Init {
  readonly body?: string | Uint8Array;
}

type Send<I extends Init, Reply> = (url: string, init: I) => Promise<Reply>;

/**
 * Keeps Deno's `fetch` from sending a request twice. It repeats a request whose connection dropped, also a POST, when
 * it still has the body; a stream is gone once sent. With that, a refused connection proves that nothing was received,
 * and the error says so by its `code`.
 */
export function sendOnce<I extends Init, Reply>(send: Send<I, Reply>): Send<I, Reply> {
  const utf8 = new TextEncoder();
  return async (url, init) => {
    const { body } = init;
    const once = body === undefined || body.length === 0
      ? init
      : { ...init, body: streamOf(typeof body === "string" ? utf8.encode(body) : body), duplex: "half" };
    try {
      return await send(url, once as I);
    } catch (error) {
      const refused = /\((?:Connect)\)|Connection refused \(os error/.test(textOf(error));
      throw refused
        ? Object.assign(new Error("Connection refused", { cause: error }), { code: "ECONNREFUSED" })
        : error;
    }
  };
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return error.cause instanceof Error ? `${error.message} ${error.cause.message}` : error.message;
}
