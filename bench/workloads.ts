// SPDX-License-Identifier: MIT
/**
 * What is timed. A session is one fresh mount and the steps on it, in order; a
 * step is a shell script run in the mount, and its row in the table. Steps that
 * only make ready for the next have no row.
 */

export interface Step {
  /** Undefined for a preparation that is not timed. */
  row?: string;
  script: string;
  /** The row is a read of what was read before: the goal is kernel speed. */
  warmRead?: boolean;
  /** Requests are counted over this step, per this many files. */
  countPerFile?: boolean;
}

export interface Session {
  name: string;
  /** Which set of lower layers: the tree, or fifty small ones. */
  layers: 'tree' | 'fifty';
  steps: readonly Step[];
}

export interface Sizes {
  /** MiB of the large file. */
  large: number;
  /** Files that are appended to, and names that are looked up. */
  many: number;
}

/** `$TREE` is a tar of the tree, `$RANDOM_READ` the program that reads at random places. */
export function sessions({ large, many }: Sizes): readonly Session[] {
  const scan = (name: string, script: string): Session => ({
    name,
    layers: 'tree',
    steps: [
      { row: `${name}, cold`, script, countPerFile: true },
      // Reading made the kernel doubt the access times: the second pass asks for attributes once a file.
      { row: `${name}, second`, script },
      { row: `${name}, warm`, script, warmRead: true },
    ],
  });
  return [
    scan('find with stat', "find tree -printf '%s %m %T@\\n' > /dev/null"),
    scan('tar of everything', 'tar cf - tree | cat > /dev/null'),
    scan('grep -r', 'grep -r no-such-string-anywhere tree > /dev/null || true'),
    {
      name: 'write',
      layers: 'tree',
      steps: [
        { script: 'mkdir new' },
        { row: 'untar', script: 'tar xf $TREE -C new', countPerFile: true },
        { row: 'rm -rf, upper', script: 'rm -rf new' },
        { row: 'cp -a', script: 'cp -a tree copy' },
      ],
    },
    {
      name: 'change',
      layers: 'tree',
      steps: [
        {
          row: 'append to lower files',
          script: `find tree -type f | head -${many} > /tmp/list.$$; while read -r f; do echo x >> "$f"; done < /tmp/list.$$; rm /tmp/list.$$`,
        },
        { row: 'chown -R, lower', script: 'chown -R 1:1 tree' },
      ],
    },
    {
      name: 'rename',
      layers: 'tree',
      steps: [{ row: 'rename of a lower directory', script: 'mv tree moved' }],
    },
    { name: 'remove', layers: 'tree', steps: [{ row: 'rm -rf, lower', script: 'rm -rf tree' }] },
    {
      name: 'fifty layers',
      layers: 'fifty',
      steps: [
        {
          row: '50 layers, names present',
          script: `for i in $(seq ${many}); do [ -e dir/f$i ] || exit 1; done`,
        },
        {
          row: '50 layers, names absent',
          script: `for i in $(seq ${many}); do [ -e dir/no$i ] && exit 1; done; true`,
        },
      ],
    },
    {
      name: 'large file',
      layers: 'tree',
      steps: [
        { row: `write of ${large} MiB`, script: `dd if=/dev/zero of=large bs=1M count=${large} status=none` },
        {
          row: `read of ${large} MiB, warm`,
          script: 'dd if=large of=/dev/null bs=1M status=none',
          warmRead: true,
        },
        { row: '4 KiB random reads, warm', script: '$RANDOM_READ large', warmRead: true },
        { script: 'sync large; echo 1 > /proc/sys/vm/drop_caches' },
        { row: `read of ${large} MiB, cold`, script: 'dd if=large of=/dev/null bs=1M status=none' },
        { script: 'sync large; echo 1 > /proc/sys/vm/drop_caches' },
        { row: '4 KiB random reads, cold', script: '$RANDOM_READ large' },
        { row: '4 KiB writes', script: `dd if=/dev/zero of=small bs=4k count=${large * 32} status=none` },
      ],
    },
  ];
}
