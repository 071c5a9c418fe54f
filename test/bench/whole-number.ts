/** The value of an option that counts something. */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1)) throw new Error(`--${option}: a whole number, at least 1`);
  return value;
}
