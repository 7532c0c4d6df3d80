import type { JsonRecord } from "../files/json.ts";
import { isJsonObject } from "../files/json.ts";
import type { TokenRole, TokenRoles } from "./tokenizer.ts";

const roleNames: readonly TokenRole[] = ["bos", "eos", "unk", "pad", "cls", "sep", "mask"];

/** What tokens are for, as `tokenizer_config.json` and `special_tokens_map.json` say it: `bos_token` and so on. */
export function rolesFromConfig(config: JsonRecord): TokenRoles {
  const entries = roleNames.flatMap((role) => {
    const value = config[`${role}_token`];
    const content = isJsonObject(value) ? value.content : value;
    return typeof content === "string" && content !== "" ? [[role, content]] : [];
  });
  return Object.fromEntries(entries) as TokenRoles;
}

/** The entries of `tokenizer_config.json` that say what tokens are for. */
export function rolesToConfig(roles: TokenRoles): Record<string, string> {
  return Object.fromEntries(
    roleNames.flatMap((role) => {
      const token = roles[role];
      return token === undefined ? [] : [[`${role}_token`, token]];
    }),
  );
}
