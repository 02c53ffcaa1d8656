const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Bytes as base64url (RFC 4648, section 5) without padding. */
export function base64url(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  for (; at + 2 < bytes.length; at += 3) {
    const three = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    text += LETTERS[three >> 18]! + LETTERS[(three >> 12) & 63]! + LETTERS[(three >> 6) & 63]! +
      LETTERS[three & 63]!;
  }
  if (at + 1 === bytes.length) {
    const one = bytes[at]!;
    text += LETTERS[one >> 2]! + LETTERS[(one << 4) & 63]!;
  } else if (at + 2 === bytes.length) {
    const two = (bytes[at]! << 8) | bytes[at + 1]!;
    text += LETTERS[two >> 10]! + LETTERS[(two >> 4) & 63]! + LETTERS[(two << 2) & 63]!;
  }
  return text;
}
