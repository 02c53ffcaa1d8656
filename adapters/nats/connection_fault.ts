import { CatgaError, type SystemCode, systemFault } from "../../src/result.ts";

/** Why there is no connection. */
export function cannotConnect(code: SystemCode, why: string, cause?: unknown): CatgaError {
  return new CatgaError(systemFault(code, `Cannot connect to NATS: ${why}`, undefined, cause));
}
