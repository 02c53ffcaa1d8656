/** A rejection with what a check throws; `undefined` if it throws nothing. */
export function refusal(check: () => void): Promise<never> | undefined {
  try {
    check();
    return undefined;
  } catch (thrown) {
    return Promise.reject(thrown);
  }
}
