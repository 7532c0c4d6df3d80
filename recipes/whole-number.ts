import { InvalidArgumentError } from "commander";

/** Reads a whole number, `least` or more, from a command line; commander says what is wrong with another. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : -1;
    if (number < least) throw new InvalidArgumentError(`It is a whole number from ${least} on.`);
    return number;
  };
}
