// SPDX-License-Identifier: MIT
/** When a request to a registry is worth another try, and how long to wait before it. */
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../connection/proxy-failure.js';
import type { Refusal } from './answer.js';
import { isAboutTls } from './failure.js';

export const TRIES = 5;
const FIRST_WAIT_MS = 250;
/** A longer wait is not kept: the error tells the user, who decides. */
const LONGEST_WAIT_MS = 60_000;
const PASSING_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
/** A number of seconds so large is a moment. */
const EPOCH_S = 1e9;

/** Whether the same may be granted a little later. */
export function mayPass({ status, retryAfter: asked }: Refusal): boolean {
  return PASSING_STATUS.has(status) && asked <= LONGEST_WAIT_MS;
}

/** Nobody is there, or it is nobody that we trust: that is no passing trouble. */
export function triesFor(failure: Error): number {
  if (failure instanceof ProxyError) {
    if (failure.status !== undefined) return PASSING_STATUS.has(failure.status) ? TRIES : 1;
    return triesFor(failure.cause as Error);
  }
  const { code } = failure as NodeJS.ErrnoException;
  if (isAboutTls(failure) || code === 'HPE_HEADER_OVERFLOW') return 1;
  return /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH)$/.test(`${code}`) ? 2 : TRIES;
}

/**
 * How long a server asks to wait, in milliseconds (RFC 9110, 10.2.3): seconds or a date, and the
 * seconds since 1970 that some registries write there. Undefined where it says nothing of use.
 */
export function retryAfter(headers: IncomingHttpHeaders, now = Date.now()): number | undefined {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) {
    const seconds = Number(text);
    return seconds < EPOCH_S ? seconds * 1000 : Math.max(seconds * 1000 - now, 0);
  }
  // Every form of a date begins with the day's name (RFC 9110, 5.6.7).
  const until = /^[A-Z]/i.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(until)) return undefined;
  // By the clock that the date was taken from, where the server tells it.
  const sent = Date.parse(headers.date ?? '');
  return Math.max(until - (Number.isNaN(sent) ? now : sent), 0);
}

/** What to tell people of a wait that is too long for us. */
export function waitAsked(asked: number): string | undefined {
  return asked > LONGEST_WAIT_MS
    ? `it asks to be left alone for ${Math.ceil(asked / 60_000)} minutes`
    : undefined;
}

/** Waits before the try after `attempt`: ever longer, and at least as long as was asked for. */
export async function backOff(attempt: number, asked = 0, signal?: AbortSignal): Promise<void> {
  const wait = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
  await delay(Math.max(asked, wait), undefined, { signal });
}
