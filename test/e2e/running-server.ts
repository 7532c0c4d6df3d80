import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { join } from "node:path";
import OpenAI from "openai";

/** A server as a process of its own, as a user starts it. */
export class RunningServer {
  readonly child: ChildProcess;
  /** What it wrote so far, on both of its outputs. */
  said = "";
  port = 0;

  private constructor(command: string, args: readonly string[]) {
    const bin = join(import.meta.dirname, "../../bin/stemma.js");
    const environment = { ...process.env, NO_COLOR: "1" };
    this.child = spawn(process.execPath, [bin, command, "--port", "0", ...args], { env: environment });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk: string) => {
        this.said += chunk;
      });
    }
  }

  /** Starts one on a free port and waits until it listens. */
  static start(...args: string[]): Promise<RunningServer> {
    return RunningServer.startBy("serve", ...args);
  }

  /** The same with another command that serves. */
  static async startBy(command: string, ...args: string[]): Promise<RunningServer> {
    const server = new RunningServer(command, args);
    await until(() => /listening on/.test(server.said) || server.child.exitCode !== null);
    server.port = Number(/listening on http:\/\/\S+:(\d+)/.exec(server.said)?.[1]);
    if (Number.isNaN(server.port)) throw new Error(`the server did not start: ${server.said}`);
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Sends a body, as JSON if it is no text, and gives the answer. */
  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await this.send(path, body, { headers }));
  }

  /** Sends a body as `post` does; the answer has begun, and may be a stream. */
  send(path: string, body: unknown, init: Pick<RequestInit, "headers" | "signal"> = {}): Promise<Response> {
    return fetch(this.url + path, {
      ...init,
      method: "POST",
      headers: { "content-type": "application/json", ...init.headers },
      body: typeof body === "string" || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
    });
  }

  /** A connection on which some bytes were sent. */
  open(bytes: string): Socket {
    const socket = connect({ port: this.port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
    socket.write(bytes);
    return socket.setEncoding("utf8");
  }

  /** Sends bytes that may be no HTTP, and gives what is answered until the server ends the connection. */
  async talk(bytes: string): Promise<string> {
    const socket = this.open(bytes);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    return answer;
  }

  /** OpenAI's own client for it, which asks once only. */
  client(apiKey = "none"): OpenAI {
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey, maxRetries: 0 });
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await fetch(this.url + path, { headers }));
  }

  /** A number of `/metrics`. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(new RegExp(`^stemma_${name} (\\S+)$`, "m").exec(text)?.[1]);
  }

  /** Process ids of its engines, once they run their own program: who stops one before stops the server, which waits for that. */
  engines(): number[] {
    const children = join("/proc", String(this.child.pid), "task", String(this.child.pid), "children");
    const ids = readFileSync(children, "utf8").trim().split(" ").filter(Boolean).map(Number);
    return ids.filter((id) => readFileSync(join("/proc", String(id), "cmdline"), "utf8").includes("engine"));
  }

  /** Ends it with a signal; gives its exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.child.kill(signal);
    await until(() => this.child.exitCode !== null || this.child.signalCode !== null);
    return this.child.exitCode;
  }
}

/** An answer: its status, headers, and the object in its body. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect in it
  readonly body: any;
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** Waits until something is so, for as long as the test may take. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  return (
    readdirSync("/proc").includes(String(pid)) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  );
}
