/** Returns the processor time of this process while `run` ran, in ms: what other processes do beside it hardly counts. */
export function processorTime(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
