// SPDX-License-Identifier: MIT
/** What `ps --filter` lets through, as moby's daemon/list.go has it. */
import { UsageError } from '../../base/errors.js';
import type { PortMapping } from '../../container/state/config.js';
import { findContainer } from '../../container/state/containers.js';
import type { Store } from '../../image/store/store.js';
import { type Filters, hasLabel, parseFilters, truthOf } from '../words/filters.js';
import type { Listed } from './listed.js';
import { portRange } from './ports.js';

type Test = (listed: Listed) => boolean;
/** Reads a value before anything is listed, so that one that is none is refused whatever there is. */
type Reader = (value: string, store: Store) => Test;

const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const HEALTHS = ['none', 'starting', 'healthy', 'unhealthy'];

function refusal(filter: string, value: string, remedy: string): UsageError {
  return new UsageError(`--filter ${filter}=${value} is not possible`, remedy);
}

function oneOf(filter: string, value: string, known: readonly string[]): string {
  if (known.includes(value)) return value;
  throw refusal(filter, value, `it is ${known.join(', ')}`);
}

/** A regular expression, or a name as it is; what is neither matches nothing. Docker's names begin with a slash. */
function nameMatcher(value: string): (name: string) => boolean {
  try {
    const pattern = new RegExp(value);
    return (name) => pattern.test(name) || pattern.test(`/${name}`);
  } catch {
    return (name) => name === value;
  }
}

/** `80`, `8000-8010/udp` */
function portMatcher(filter: string, value: string): (port: number, protocol: string) => boolean {
  const [ports, wanted = 'tcp'] = value.split('/');
  const [first, last] = portRange(ports, `--filter ${filter}=${value}`);
  return (port, protocol) => port >= first && port <= last && protocol === wanted;
}

function createdOf(store: Store, name: string): string {
  return findContainer(store, name).readConfig().created;
}

const READERS: Record<string, Reader> = {
  name: (value) => {
    const matches = nameMatcher(value);
    return ({ config }) => matches(config.name);
  },
  id:
    (value) =>
    ({ config }) =>
      config.id.startsWith(value),
  status: (value) => {
    const status = oneOf('status', value, STATUSES);
    return ({ state }) => state.status === status;
  },
  // There are no health checks.
  health: (value) => {
    const health = oneOf('health', value, HEALTHS);
    return () => health === 'none';
  },
  label:
    (value) =>
    ({ config }) =>
      hasLabel(config.options.labels, value),
  exited: (value) => {
    if (!/^[+-]?\d+$/.test(value)) throw refusal('exited', value, 'it is an exit code');
    return ({ state }) => state.status === 'exited' && state.exitCode === Number(value);
  },
  ancestor:
    (value) =>
    ({ config: { image } }) =>
      image.name === value ||
      image.name === `${value}:latest` ||
      image.id.replace('sha256:', '').startsWith(value.replace('sha256:', '')),
  before: (value, store) => {
    const created = createdOf(store, value);
    return ({ config }) => config.created < created;
  },
  since: (value, store) => {
    const created = createdOf(store, value);
    return ({ config }) => config.created > created;
  },
  publish: (value) => {
    const matches = portMatcher('publish', value);
    return ({ state }) => state.ports.some(({ hostPort, protocol }) => matches(hostPort, protocol));
  },
  expose: (value) => {
    const matches = portMatcher('expose', value);
    return (listed) =>
      exposedBy(listed).some(({ containerPort, protocol }) => matches(containerPort, protocol));
  },
  network:
    (value) =>
    ({ config }) =>
      config.options.network === value,
  volume:
    (value) =>
    ({ config }) =>
      config.options.mounts.some(({ source, target }) => source === value || target === value),
  // Of Docker's swarms, which there are none of.
  'is-task': (value) => {
    const wanted = truthOf('is-task', [value]);
    return () => !wanted;
  },
};

/** As in `ps`, only one that runs has ports. */
function exposedBy({ config, state }: Listed): Pick<PortMapping, 'containerPort' | 'protocol'>[] {
  if (state.status !== 'running' && state.status !== 'paused') return [];
  const ofImage = Object.keys(config.image.config.ExposedPorts ?? {}).map((text) => {
    const [port, protocol] = text.split('/');
    return { containerPort: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp' } as const;
  });
  return [...ofImage, ...state.ports];
}

export interface ContainerFilters {
  /** Whether a container passes. */
  passes: Test;
  /** Whether the filters ask for what does not run, too. */
  wantsAll: boolean;
}

/**
 * The values of one filter are alternatives, but labels must all be there; different filters must all hold. Throws
 * UsageError for what is no filter or no value of it, OverlayError for a container that is not there.
 */
export function containerFilters(texts: readonly string[], store: Store): ContainerFilters {
  const filters: Filters = parseFilters(texts, Object.keys(READERS));
  const groups = [...filters].map(([key, values]) => ({
    isEach: key === 'label',
    tests: values.map((value) => READERS[key](value, store)),
  }));
  return {
    passes: (listed) =>
      groups.every(({ isEach, tests }) =>
        isEach ? tests.every((test) => test(listed)) : tests.some((test) => test(listed)),
      ),
    wantsAll: filters.has('status') || filters.has('exited'),
  };
}
