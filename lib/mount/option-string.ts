// SPDX-License-Identifier: MIT
/**
 * Mount options as mount(8) passes them: `key=value,flag,…`, in one string or
 * several. What each one means stands in option-table.ts.
 */
import { nearestName, UsageError } from '../base/errors.js';
import { splitUnescaped } from './option-paths.js';
import { type ParsedOptions, type Rule, rules } from './option-table.js';

export type { ParsedOptions } from './option-table.js';

export const OPTION_NAMES: readonly string[] = Object.keys(rules);

export function emptyOptions(): ParsedOptions {
  return { lowers: [], dataLowers: [], flags: 0 };
}

/** Called with the message for an option that nobody knows; without it such an option is an error. */
export type Warn = (message: string) => void;

/**
 * Applies one option string. Throws UsageError for an option that is not known
 * (unless `warn` is given), has a wrong value, or cannot be had here.
 */
export function applyOptionString(options: ParsedOptions, text: string, warn?: Warn): void {
  for (const item of splitUnescaped(text, ',')) {
    if (item === '' || item.startsWith('x-')) continue;
    const equals = item.indexOf('=');
    const name = equals < 0 ? item : item.slice(0, equals);
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) refuseUnknown(name, warn);
    else applyOption(options, rule, name, equals < 0 ? undefined : item.slice(equals + 1));
  }
}

function refuseUnknown(name: string, warn: Warn | undefined): void {
  const nearest = nearestName(name, OPTION_NAMES);
  const message = `unknown mount option ${JSON.stringify(name)}`;
  const remedy = nearest === undefined ? 'see `tsoverlay mount --help`' : `did you mean ${nearest}?`;
  if (warn === undefined) throw new UsageError(message, remedy);
  warn(`${message} is ignored; ${remedy}`);
}

function applyOption(options: ParsedOptions, rule: Rule, name: string, value: string | undefined): void {
  if (rule.value === 'none') {
    if (value !== undefined) throw new UsageError(`mount option ${name} takes no value`);
  } else if (rule.value !== 'possible') {
    if (value === undefined || value === '') {
      throw new UsageError(`mount option ${name} needs a value`, `write ${name}=…`);
    }
    if (rule.value !== 'required' && !rule.value.includes(value)) {
      throw new UsageError(`${name}=${value} is not possible`, `use one of ${rule.value.join(', ')}`);
    }
  }
  if (rule.refused !== undefined && (rule.refusedValues?.includes(value ?? '') ?? true)) {
    const item = value === undefined ? name : `${name}=${value}`;
    throw new UsageError(`mount option ${item} is not supported`, rule.refused);
  }
  rule.apply(options, value ?? '');
}
