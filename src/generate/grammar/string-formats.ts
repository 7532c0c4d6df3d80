const leapYear = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const date =
  "(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))" +
  `|${leapYear}-02-29)`;
const clock = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?";

/**
 * Formats of strings that can be demanded, as regular expressions over whole strings. All they allow is valid; of host
 * names and addresses only the common shapes can be written.
 *
 * @see RFC 3339, section 5.6, without leap seconds; RFC 4122, section 3.
 */
export const stringFormats: Readonly<Record<string, string>> = {
  date: `^${date}$`,
  time: `^${clock}$`,
  "date-time": `^${date}T${clock}$`,
  uuid: "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
  ipv4: `^${byte}(?:\\.${byte}){3}$`,
  hostname: `^${label}(?:\\.${label}){0,4}$`,
  email: `^[a-zA-Z0-9_+-]{1,30}(?:\\.[a-zA-Z0-9_+-]{1,30}){0,3}@${label}(?:\\.${label}){1,4}$`,
  uri: `^https?://${label}(?:\\.${label}){0,4}(?::[1-9]\\d{0,3})?(?:/[a-zA-Z0-9._~-]*)*(?:\\?[a-zA-Z0-9._~=&-]*)?(?:#[a-zA-Z0-9._~-]*)?$`,
  duration: "^P(?:\\d{1,6}W|(?:\\d{1,6}Y)?(?:\\d{1,6}M)?\\d{1,6}D(?:T\\d{1,6}H)?|T\\d{1,6}[HMS])$",
};
