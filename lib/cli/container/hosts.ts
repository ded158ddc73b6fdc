// SPDX-License-Identifier: MIT
/** --add-host and --dns, as docker/cli reads them (opts/hosts.go, opts/opts.go). Throws UsageError. */
import { isIP } from 'node:net';
import { UsageError } from '../../base/errors.js';
import { HOST_GATEWAY } from '../../container/state/config.js';

/** A zone (`fe80::1%eth0`) is not part of an address for Go's ParseIP. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

/** `NAME=ADDRESS` or `NAME:ADDRESS`, the address in brackets or not; the answer is `NAME:ADDRESS`. */
export function parseExtraHost(text: string): string {
  const at = text.includes('=') ? text.indexOf('=') : text.indexOf(':');
  const name = text.slice(0, Math.max(at, 0));
  if (name === '' || name.includes(':'))
    throw new UsageError(`--add-host ${text} has no name`, 'write NAME:ADDRESS or NAME=ADDRESS');
  const given = text.slice(at + 1);
  const address = /^\[.+\]$/.test(given) ? given.slice(1, -1) : given.trim();
  if (given === HOST_GATEWAY || isAddress(address)) return `${name}:${address}`;
  throw new UsageError(`--add-host ${text}: ${given || 'nothing'} is not an IP address`, 'as in db:10.0.0.5');
}

export function parseNameServer(text: string): string {
  if (isAddress(text.trim())) return text.trim();
  throw new UsageError(`--dns ${text} is not an IP address`, 'as in 10.0.0.53');
}
