import type { Link } from "./link.ts";
import { MadeStream } from "./streams.ts";

/** How much the owners' records may take up, in bytes. */
const RECORDS = 64 * 2 ** 20;

/** The stream of the items. */
export function itemsStream(
  link: Link,
  { items, bytes, window }: { readonly items: number; readonly bytes: number; readonly window: number },
  lost: (name: string) => void,
): MadeStream {
  const settings = { max_msgs: items, max_bytes: bytes, duplicate_window: window * 1e6 };
  return streamOf(link, "q", settings, lost);
}

/** The stream of who owns which group. */
export function ownersStream(link: Link, lost: (name: string) => void): MadeStream {
  return streamOf(link, "qo", { max_msgs_per_subject: 1, max_bytes: RECORDS }, lost);
}

function streamOf(
  link: Link,
  kind: string,
  settings: Readonly<Record<string, unknown>>,
  lost: (name: string) => void,
): MadeStream {
  const replicas = link.jetstream?.replicas ?? 1;
  return new MadeStream(link, {
    prefix: `CATGA_${link.name}_${kind}_`,
    subject: `catga.${link.name}.${kind}.*`,
    fixed: { storage: "file", discard: "new", retention: "limits", num_replicas: replicas },
    settings: { ...settings, num_replicas: replicas },
  }, lost);
}
