const URL_SAFE: Readonly<Record<string, string>> = { "+": "-", "/": "_", "=": "" };

/** Bytes as base64url (RFC 4648, section 5) without padding. Meant for hashes, not for bulk. */
export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (letter) => URL_SAFE[letter]!);
}
