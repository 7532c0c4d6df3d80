import type { Server } from "node:http";
import type { Socket } from "node:net";
import { patience } from "./limits.ts";

interface Progress {
  written: number;
  since: number;
}

/**
 * Ends connections whose other end has taken nothing for too long of what is there for it. One that waits for an answer has
 * nothing to take, and may wait.
 *
 * @returns a timer; clear it when the server ends.
 */
export function endStalledReaders(server: Server): NodeJS.Timeout {
  const sockets = new Map<Socket, Progress>();
  server.on("connection", (socket: Socket) => {
    sockets.set(socket, { written: 0, since: performance.now() });
    socket.once("close", () => sockets.delete(socket));
  });
  const look = (): void => {
    const now = performance.now();
    for (const [socket, progress] of sockets) {
      // What the system has taken counts, not what waits in this process.
      const written = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0 || written !== progress.written) sockets.set(socket, { written, since: now });
      else if (now - progress.since > patience.readerMs) socket.destroy();
    }
  };
  const timer = setInterval(look, patience.readerMs / 12);
  timer.unref();
  return timer;
}
