/** Writes a whole number from 0 to 2^53, which is beyond what operators on bits can do; answers where it ends. */
export function writeVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes[at++] = (left % 0x80) | 0x80;
  bytes[at] = left;
  return at + 1;
}

export function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) bytes += 1;
  return bytes;
}
