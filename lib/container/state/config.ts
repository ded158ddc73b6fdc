// SPDX-License-Identifier: MIT
/** What a container is: what was asked for when it was made, which does not change, and how it fares, which does. */
import type { Digest } from '../../image/model/digest.js';
import type { RunConfig } from '../../image/model/image-config.js';
import type { SpecLimit } from '../spec/runtime-spec.js';
import type { RuntimeName, StorageName } from './names.js';

export interface MountRequest {
  type: 'bind' | 'volume' | 'tmpfs';
  /** A path of the host, or the name of a volume; empty for tmpfs. */
  source: string;
  /** In the container; absolute. */
  target: string;
  readOnly: boolean;
  /** More options for mount(2), as in `size=64m`. */
  options: string[];
}

/** Instead of an address: the host's, as the container's network reaches it. */
export const HOST_GATEWAY = 'host-gateway';

export interface PortMapping {
  /** Empty for every address of the host. */
  hostAddress: string;
  /** 0: any that is free. */
  hostPort: number;
  /** The last of a range, of which the first that is free is taken. */
  hostPortLast?: number | undefined;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

export interface RestartPolicy {
  name: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  /** Of on-failure: how often; 0 for ever. */
  retries: number;
}

export interface LogLimits {
  /** Of one file, in bytes; 0: no limit. */
  maxSize: number;
  maxFiles: number;
  /** Bytes of the store's file system that the log leaves free; undefined: the usual reserve. */
  reserve?: number | undefined;
}

/** What was said on the command line; what was not is the image's to say. */
export interface ContainerOptions {
  command?: string[] | undefined;
  entrypoint?: string[] | undefined;
  env: string[];
  cwd?: string | undefined;
  user?: string | undefined;
  hostname?: string | undefined;
  terminal: boolean;
  interactive: boolean;
  labels: Record<string, string>;
  mounts: MountRequest[];
  /** `bridge`, `host`, `none`, or `container:ID`. */
  network: string;
  ports: PortMapping[];
  /** `NAME:ADDRESS` */
  extraHosts: string[];
  nameServers: string[];
  readOnly: boolean;
  /** Bytes. */
  memory?: number | undefined;
  /** How many processors' time it may take, as in 1.5. */
  cpus?: number | undefined;
  processes?: number | undefined;
  /** Bytes of /dev/shm. */
  sharedMemory?: number | undefined;
  capAdd: string[];
  capDrop: string[];
  privileged: boolean;
  noNewPrivileges: boolean;
  unfiltered: boolean;
  limits: SpecLimit[];
  /** A process of ours is the first one and takes in orphans. */
  init: boolean;
  restart: RestartPolicy;
  /** Undefined: the usual ones; `none`: there is no log. */
  log?: LogLimits | 'none' | undefined;
  stopSignal?: string | undefined;
  /** Seconds that a stop waits. */
  stopTimeout: number;
  autoRemove: boolean;
  storage: StorageName;
  runtime: RuntimeName;
}

export interface ContainerImage {
  /** As it was asked for. */
  name: string;
  id: Digest;
  /** Bottom first. The store keeps them as long as the container is there. */
  layers: Digest[];
  config: RunConfig;
}

export interface ContainerConfig {
  /** 64 hexadecimal digits. */
  id: string;
  name: string;
  /** ISO 8601. */
  created: string;
  image: ContainerImage;
  options: ContainerOptions;
  /** A step of a build runs in it; it is not listed, and goes with the build. */
  isBuild?: boolean | undefined;
}

export type ContainerStatus = 'created' | 'running' | 'paused' | 'exited';

export interface ContainerState {
  status: ContainerStatus;
  /** Of the server and of the first process, as the host sees them; 0 where there is none. */
  serverPid: number;
  pid: number;
  /** When they were started, in clock ticks since the machine was. */
  serverStart: number;
  pidStart: number;
  exitCode: number;
  /** Why it could not be started or was lost; empty where nothing is wrong. */
  error: string;
  /** ISO 8601; empty before the first start or end. */
  startedAt: string;
  finishedAt: string;
  restarts: number;
  /** On the bridge; empty without one. */
  address: string;
  gateway: string;
  /** What is published, with the ports that were chosen. */
  ports: PortMapping[];
  /** A person stopped it: no restart policy starts it again. */
  stopped: boolean;
  /** How its last run has ended is not known, as its server and its shim have ended before it. */
  lost: boolean;
}

export const NEW_STATE: ContainerState = {
  status: 'created',
  serverPid: 0,
  pid: 0,
  serverStart: 0,
  pidStart: 0,
  exitCode: 0,
  error: '',
  startedAt: '',
  finishedAt: '',
  restarts: 0,
  address: '',
  gateway: '',
  ports: [],
  stopped: false,
  lost: false,
};

/** As the container sees its own. */
export function hostnameOf({ id, options }: ContainerConfig): string {
  return options.hostname ?? id.slice(0, 12);
}
