import { JinjaError } from "./values.ts";

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = [
  ...["January", "February", "March", "April", "May", "June", "July"],
  ...["August", "September", "October", "November", "December"],
];

const composed: Readonly<Record<string, string>> = { F: "%Y-%m-%d", T: "%H:%M:%S", R: "%H:%M", D: "%m/%d/%y" };

/**
 * A moment as C's `strftime` writes it, in local time and English; `%-d` is `%d` without zeros before it.
 *
 * @throws {JinjaError} naming a directive that it does not know.
 */
export function strftime(moment: Date, format: string): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const [year, hour] = [moment.getFullYear(), moment.getHours()];
  const [day, month] = [days[moment.getDay()] ?? "", months[moment.getMonth()] ?? ""];
  const days0 = (Date.UTC(year, moment.getMonth(), moment.getDate()) - Date.UTC(year, 0, 1)) / 86_400_000;
  const parts: Readonly<Record<string, string>> = {
    ...{ Y: String(year), y: two(year % 100), m: two(moment.getMonth() + 1), B: month, b: month.slice(0, 3) },
    ...{ d: two(moment.getDate()), e: String(moment.getDate()).padStart(2), A: day, a: day.slice(0, 3) },
    ...{ j: String(days0 + 1).padStart(3, "0"), w: String(moment.getDay()), u: String(moment.getDay() || 7) },
    ...{ H: two(hour), I: two(hour % 12 || 12), M: two(moment.getMinutes()), S: two(moment.getSeconds()) },
    ...{ p: hour < 12 ? "AM" : "PM", f: `${String(moment.getMilliseconds()).padStart(3, "0")}000`, "%": "%" },
  };
  const simple = format.replaceAll(/%([FTRD])/g, (_, letter: string) => composed[letter] ?? "");
  return simple.replaceAll(/%(-?)(.)/gs, (directive: string, bare: string, letter: string) => {
    const text = Object.hasOwn(parts, letter) ? parts[letter] : undefined;
    if (text === undefined) throw new JinjaError(`strftime does not know ${directive}`);
    return bare === "" ? text : text.replace(/^[0 ]+(?=.)/, "");
  });
}
