import process from "node:process";

/** Exit codes of a process that a signal stopped, as shells have them. */
export const signalCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal that stops a command. */
export type StopSignal = keyof typeof signalCodes;

/** Those signals. */
export const stopSignals = Object.keys(signalCodes) as readonly StopSignal[];

/**
 * Until a command begins, Ctrl-C (SIGINT) and SIGTERM end the process with a line that says so: loading the program takes
 * a moment, and whoever stops it meanwhile wants to know that nothing has happened.
 */
export function holdSignals(): void {
  for (const signal of stopSignals) process.on(signal, endAtOnce);
}

/** From here on signals are the command's, or the system's. */
export function releaseSignals(): void {
  for (const signal of stopSignals) process.off(signal, endAtOnce);
}

/**
 * Under `npx` the parent is a shell that dies of SIGTERM without passing it on, and the command would go on without anybody
 * knowing: when that shell is gone, SIGTERM is sent on. Looked at twice a second; keeps no process alive.
 */
export function followShell(environment: NodeJS.ProcessEnv): void {
  const shell = process.ppid;
  if (environment.npm_command !== "exec" || shell === 1) return;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, 500);
  timer.unref();
}

function endAtOnce(signal: NodeJS.Signals): void {
  process.stderr.write("stemma: stopped while it was starting; nothing was begun\n");
  process.exit(signalCodes[signal as StopSignal]);
}
