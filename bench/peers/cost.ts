/** What some work took. */
export interface Cost {
  readonly seconds: number;
  /** Of the processor, all threads of the process together. */
  readonly cpuSeconds: number;
}

/** Does some work and says what it took. */
export async function costOf(work: () => Promise<void>): Promise<Cost> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** The most memory that this process ever held. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
