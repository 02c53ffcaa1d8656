/** What `natsQueue` takes. */
export interface NatsQueueOptions {
  /** How many items are kept, for all topics; over it `OVERLOADED`. @default 1000000 */
  readonly items?: number;
  /** How large all of them may be, in bytes; over it `OVERLOADED`. @default 1073741824 (1 GiB) */
  readonly bytes?: number;
  /** How long the name of an item is remembered, in ms. The server keeps them in memory. @default 120000 */
  readonly window?: number;
  /** How long what a process had comes to others after it was killed, in ms. @default 5000 */
  readonly ackWait?: number;
  /** How many items of a group its owner keeps at most, also those that are not due; more wait behind. @default 10000 */
  readonly heldItems?: number;
  /** How large all of them may be, in bytes. @default 67108864 (64 MiB) */
  readonly heldBytes?: number;
}
