/** What came to pass at one executor since it started, as numbers for metrics. */
export interface SagaTally {
  /** Instances that were begun here. */
  started: number;
  /** Instances that were taken over, or waited long enough. */
  resumed: number;
  /** Instances that came to their end here. */
  completed: number;
  /** Instances that were undone here. */
  compensated: number;
  /** Instances that got stuck here. */
  stuck: number;
  /** Steps that were begun or begun again. */
  steps: number;
  /** Undos that were begun or begun again. */
  undos: number;
  /** Events that were given to instances here. */
  events: number;
}

/** Nothing has happened yet. */
export function newTally(): SagaTally {
  return { started: 0, resumed: 0, completed: 0, compensated: 0, stuck: 0, steps: 0, undos: 0, events: 0 };
}
