import type { MountConfig, RunningMount } from './config.js';
export function startFuseNativeDriver(_c: MountConfig, _r: (t: string) => void): Promise<RunningMount> {
  throw new Error('x');
}
