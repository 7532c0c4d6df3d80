/** An expression of a template. */
export type Expression =
  | { readonly kind: "literal"; readonly value: null | boolean | number | string; readonly isFloat?: boolean }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list" | "tuple"; readonly items: readonly Expression[] }
  | { readonly kind: "dict"; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: "attribute"; readonly of: Expression; readonly name: string }
  | { readonly kind: "item"; readonly of: Expression; readonly key: Expression }
  | {
      readonly kind: "slice";
      readonly of: Expression;
      /** Start, end and step. */
      readonly bounds: readonly (Expression | null)[];
    }
  | { readonly kind: "call"; readonly callee: Expression; readonly given: Arguments }
  | { readonly kind: "filter"; readonly of: Expression; readonly name: string; readonly given: Arguments }
  | {
      readonly kind: "test";
      readonly of: Expression;
      readonly name: string;
      readonly given: Arguments;
      readonly isNegated: boolean;
    }
  | { readonly kind: "unary"; readonly operator: "not" | "-" | "+"; readonly of: Expression }
  | { readonly kind: "binary"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | {
      /** `1 < x <= 3`: each pair of neighbours. */
      readonly kind: "comparison";
      readonly first: Expression;
      readonly rest: readonly (readonly [operator: string, Expression])[];
    }
  | {
      readonly kind: "either";
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | null;
    };

/** What a call is given. */
export interface Arguments {
  readonly positional: readonly { readonly value: Expression; readonly isSpread: boolean }[];
  /** A name is null for what `**` spreads. */
  readonly named: readonly { readonly name: string | null; readonly value: Expression }[];
}

/** Where a value is put: a name, several, or an attribute of a namespace. */
export type Target =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "names"; readonly items: readonly Target[] }
  | { readonly kind: "attribute"; readonly of: string; readonly name: string };

/** A parameter of a macro. */
export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | null;
}

/** What a macro or a call block runs. */
export interface MacroBody {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: Block;
}

/** A statement of a template, or text between statements. */
export type Statement =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "output"; readonly value: Expression }
  | { readonly kind: "if"; readonly branches: readonly (readonly [Expression | null, Block])[] }
  | {
      readonly kind: "for";
      readonly target: Target;
      readonly over: Expression;
      readonly filter: Expression | null;
      readonly body: Block;
      readonly otherwise: Block;
      readonly isRecursive: boolean;
    }
  | { readonly kind: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly kind: "capture";
      readonly target: Target;
      readonly body: Block;
      /** The text of the body, perhaps filtered. */
      readonly value: Expression;
    }
  | { readonly kind: "macro"; readonly macro: MacroBody }
  | { readonly kind: "call"; readonly call: Expression; readonly caller: MacroBody }
  | { readonly kind: "filter"; readonly apply: Expression; readonly body: Block }
  | { readonly kind: "with"; readonly values: readonly (readonly [Target, Expression])[]; readonly body: Block }
  | { readonly kind: "generation"; readonly body: Block }
  | { readonly kind: "break" | "continue" };

/** Statements that run one after the other. */
export type Block = readonly Statement[];

/** The name by which filters of blocks (`{% filter upper %}`) refer to the text they are applied to. */
export const blockText = " text";
