import { Conversation } from "../generate/conversation.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { RemoteServer } from "./remote-server.ts";
import { chatPieces } from "./remote-server.ts";

/** How a server answers; what is left out is as the server has it. */
export interface RemoteChatOptions {
  readonly system: string;
  readonly maxNewTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
  readonly seed: number;
}

/** A conversation with a model behind a server, which decides what of it the model reads. */
export class RemoteChat extends Conversation {
  readonly #server: RemoteServer;
  readonly #options: RemoteChatOptions;
  /** Answers given so far, retries included: each draws other numbers. */
  #answers = 0;

  constructor(server: RemoteServer, options: RemoteChatOptions) {
    super(options.system);
    this.#server = server;
    this.#options = options;
  }

  protected override answerTo(turns: readonly ChatMessage[], signal: AbortSignal | undefined): AsyncIterable<string> {
    const { system, maxNewTokens, temperature, topK, topP, minP, repetitionPenalty, seed } = this.#options;
    const head = system === "" ? [] : [{ role: "system", content: system }];
    const extra = { top_k: topK, min_p: minP, repetition_penalty: repetitionPenalty };
    return chatPieces(
      { ...this.#server, signal: signal ?? this.#server.signal },
      {
        ...{ messages: [...head, ...turns], max_tokens: maxNewTokens, temperature, top_p: topP },
        ...{ ...extra, seed: seed + this.#answers++ },
      },
    );
  }
}
