// SPDX-License-Identifier: MIT
/** `key=value,…` of `RUN --mount`: fields as in CSV, so that one with a comma stands in double quotes. */
import { sizeOf } from '../../base/sizes.js';
import { DockerfileError, type Place } from './failure.js';

const ALIASES: Record<string, string> = {
  destination: 'target',
  dst: 'target',
  src: 'source',
  readonly: 'ro',
  readwrite: 'rw',
};
/** Keys that mean something without a value. */
const WITHOUT_VALUE = ['ro', 'rw', 'required'];
/** As Go's strconv.ParseBool. */
export const TRUTHS: Record<string, boolean> = {
  '1': true,
  t: true,
  true: true,
  '0': false,
  f: false,
  false: false,
};

export class MountFields {
  private constructor(
    private readonly place: Place,
    private readonly values: ReadonlyMap<string, string>,
  ) {}

  /** Throws a DockerfileError for what is no list of fields. */
  static parse(place: Place, text: string): MountFields {
    const values = new Map<string, string>();
    const fields = new MountFields(place, values);
    for (const part of csvFields(text) ??
      fields.refuse(`${text} has a quote in a field`, 'quote fields whole')) {
      const [, name, value] = /^([^=]*)=?(.*)$/s.exec(part.trim())!;
      const key = ALIASES[name.toLowerCase()] ?? name.toLowerCase();
      if (values.has(key)) fields.refuse(`${key} is given twice`);
      if (!part.includes('=') && !WITHOUT_VALUE.includes(key))
        fields.refuse(`${name} has no value`, `write ${name}=VALUE`);
      values.set(key, part.includes('=') ? value : 'true');
    }
    return fields;
  }

  /** The same fields with other values. */
  with(values: Iterable<readonly [name: string, value: string]>): MountFields {
    return new MountFields(this.place, new Map(values));
  }

  get entries(): [name: string, value: string][] {
    return [...this.values];
  }

  get names(): string[] {
    return [...this.values.keys()];
  }

  get hasVariables(): boolean {
    return [...this.values.values()].some((value) => value.includes('$'));
  }

  refuse(reason: string, remedy?: string): never {
    throw new DockerfileError(this.place, `--mount: ${reason}`, remedy);
  }

  text(name: string): string | undefined {
    return this.values.get(name);
  }

  truth(name: string): boolean {
    const value = this.text(name) ?? 'false';
    const truth = TRUTHS[value.toLowerCase()];
    return truth ?? this.refuse(`invalid ${name}=${value}`, 'it is true or false');
  }

  /** By `rw` and `ro`, of which the last decides. */
  isWritable(usual: boolean): boolean {
    let writable = usual;
    for (const name of this.names) {
      if (name === 'rw') writable = this.truth('rw');
      if (name === 'ro') writable = !this.truth('ro');
    }
    return writable;
  }

  number(name: string, base: 8 | 10, usual: number): number {
    const value = this.text(name);
    if (value === undefined) return usual;
    if (!(base === 8 ? /^0*[0-7]{1,4}$/ : /^\d{1,10}$/).test(value))
      this.refuse(`${name}=${value} is not ${base === 8 ? 'an octal' : 'a'} number`);
    return Number.parseInt(value, base);
  }

  /** `64m`, `1.5GiB` */
  bytes(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    return sizeOf(value) ?? this.refuse(`${name}=${value} is not a size`, 'write it as in 64m');
  }
}

/** Fields at commas; those in double quotes may hold commas, and `""` for a quote. Undefined for what is no CSV. */
export function csvFields(text: string): string[] | undefined {
  const fields: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = field.exec(text);
    if (match === null) return undefined;
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2]);
    if (match[3] === '') return fields;
  }
}
