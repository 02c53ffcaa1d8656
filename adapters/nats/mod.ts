/** Nodes on NATS. @module */
export {};
