import { z } from "zod";

/**
 * What an answer must look like, as a plain record: a value of a JSON schema, or a text that is put together from
 * several. Where a text is the name of a special token, that token may stand for it.
 */
export type AnswerGrammar =
  /** JSON that a schema allows; true allows any value. */
  | { readonly kind: "json"; readonly schema: unknown }
  /** Exactly this text. */
  | { readonly kind: "literal"; readonly text: string }
  /** Any text, also none, in which none of these occurs. */
  | { readonly kind: "text"; readonly without: readonly string[] }
  /** One after the other. */
  | { readonly kind: "sequence"; readonly parts: readonly AnswerGrammar[] }
  /** One of them. */
  | { readonly kind: "choice"; readonly options: readonly AnswerGrammar[] }
  /** Once or more often, with a text between. */
  | { readonly kind: "list"; readonly of: AnswerGrammar; readonly separator: string };

/** {@link AnswerGrammar}, checked. */
export const AnswerGrammarRecord: z.ZodType<AnswerGrammar> = z.lazy(() =>
  z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("json"), schema: z.unknown() }),
    z.object({ kind: z.literal("literal"), text: z.string().min(1) }),
    z.object({ kind: z.literal("text"), without: z.array(z.string().min(1)) }),
    z.object({ kind: z.literal("sequence"), parts: z.array(AnswerGrammarRecord) }),
    z.object({ kind: z.literal("choice"), options: z.array(AnswerGrammarRecord).min(1) }),
    z.object({ kind: z.literal("list"), of: AnswerGrammarRecord, separator: z.string() }),
  ]),
);

/** Any JSON object, as `response_format: {type: "json_object"}` asks for. */
export const anyObject: AnswerGrammar = { kind: "json", schema: { type: "object" } };
