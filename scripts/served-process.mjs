import { spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const bin = join(dirname(dirname(fileURLToPath(import.meta.url))), "bin", "stemma.js");

/** `stemma serve` as a process of its own, as scripts ask it. */
export class ServedProcess {
  /** Starts one on a free port, and waits until it listens. */
  static async start(...args) {
    const server = new ServedProcess();
    server.child = spawn(process.execPath, [bin, "serve", "--port", "0", ...args]);
    let said = "";
    server.port = await new Promise((resolve, reject) => {
      for (const stream of [server.child.stdout, server.child.stderr]) {
        stream.on("data", (data) => {
          said += data;
          const found = /listening on \S+:(\d+)/.exec(said)?.[1];
          if (found !== undefined) resolve(Number(found));
        });
      }
      server.child.on("exit", () => reject(new Error(said)));
    });
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Posts bytes or an object as JSON; gives status and text, or the code of an error in place of a status. */
  post(path, body, agent) {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const headers = { "content-type": "application/json", "content-length": bytes.length };
    return new Promise((resolve) => {
      const failed = (error) => resolve({ status: error.code, text: "" });
      const sent = request(this.url + path, { method: "POST", agent, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece) => {
          text += piece;
        });
        response.on("end", () => resolve({ status: response.statusCode, text })).on("error", failed);
      });
      sent.on("error", failed).end(bytes);
    });
  }

  /** A connection on which a request is written, but for the last `missing` bytes of its body. */
  open(path, body, missing = 0) {
    const text = JSON.stringify(body);
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n`;
    const bytes = Buffer.from(head + text);
    const socket = connect({ port: this.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {});
    socket.write(bytes.subarray(0, bytes.length - missing));
    return { socket, rest: bytes.subarray(bytes.length - missing) };
  }

  async health() {
    return (await fetch(`${this.url}/health`)).status;
  }

  /** A number of `/metrics`. */
  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(new RegExp(`^stemma_${name} (\\S+)$`, "m").exec(text)?.[1]);
  }

  /** Sequences that have a slot, are on their way to one, or wait. */
  async underWay() {
    const names = ["slots_busy", "requests_running", "requests_waiting"];
    const numbers = await Promise.all(names.map((name) => this.metric(name)));
    return numbers.reduce((sum, number) => sum + number, 0);
  }

  /** Waits until nothing is under way; gives what still is after so many seconds. */
  async settle(seconds = 60) {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      const left = await this.underWay();
      if (left === 0 || performance.now() > end) return left;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Process ids of its engines, on Linux. */
  engines() {
    const { pid } = this.child;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  }

  /** Connections that it holds, with what else it has of sockets, on Linux. */
  connections() {
    const folder = `/proc/${this.child.pid}/fd`;
    const isSocket = (name) => {
      try {
        return readlinkSync(join(folder, name)).startsWith("socket:");
      } catch {
        return false; // closed meanwhile
      }
    };
    return readdirSync(folder).filter(isSocket).length;
  }

  /** Bytes of memory that it takes, on Linux. */
  residentBytes() {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"))?.[1]) * 1024;
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("close", resolve));
    this.child.kill("SIGTERM");
    await ended;
  }
}

/** Numbers below a count, from a seed (mulberry32). */
export function seeded(seed) {
  let state = Number(seed) >>> 0;
  return (count) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % count;
  };
}
