// SPDX-License-Identifier: MIT
/** File handles, as an NFS server keeps them: they outlive what the kernel remembers (nfs_export=on). */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Layers, makeLayers, mountOurs, run, scratch, shell } from '../support/ground.js';

/** `handle PATH` prints a file's handle; `open MOUNT HANDLE` what is there, or the errno's name. */
const TOOL = `import ctypes, errno, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(8 + 128)
if sys.argv[1] == 'handle':
    ctypes.memmove(buffer, (128).to_bytes(4, 'little'), 4)
    mount = ctypes.c_int()
    if libc.name_to_handle_at(-100, sys.argv[2].encode(), buffer, ctypes.byref(mount), 0) != 0:
        sys.exit(errno.errorcode[ctypes.get_errno()])
    print(buffer.raw[:8 + int.from_bytes(buffer.raw[:4], 'little')].hex())
else:
    raw = bytes.fromhex(sys.argv[3])
    ctypes.memmove(buffer, raw, len(raw))
    fd = libc.open_by_handle_at(os.open(sys.argv[2], os.O_RDONLY), buffer, os.O_RDONLY)
    if fd < 0: print(errno.errorcode[ctypes.get_errno()])
    elif stat.S_ISDIR(os.fstat(fd).st_mode): print(sorted(os.listdir(fd)))
    else: print(os.read(fd, 100).decode(), end='')
`;

interface Handles extends Layers {
  handle(path: string): string;
  open(handle: string): string;
}

function prepare(t: Test): Handles {
  const base = scratch(t);
  const layers = makeLayers(base, 2);
  shell('mkdir -p a/b; echo deep > a/b/f; echo kept > k; echo gone > g', layers.lowers[1]);
  const tool = join(base, 'handles.py');
  writeFileSync(tool, TOOL);
  const call = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('python3', [tool, ...args], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  return {
    ...layers,
    handle: (path) => call('handle', join(layers.target, path)),
    open: (handle) => call('open', layers.target, handle),
  };
}

/** Makes the kernel forget every name and inode that nothing uses. */
function forgetAll(): void {
  run('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '2');
}

t.test('a handle finds its file after the kernel forgot it, through copy-up and rename', async (t) => {
  const ground = prepare(t);
  const live = await mountOurs(t, ground, { nfsExport: true });
  const file = ground.handle('a/b/f');
  const directory = ground.handle('a/b');
  forgetAll();
  t.equal(ground.open(file), 'deep');
  t.equal(ground.open(directory), "['f']");
  shell('echo more >> a/b/f; mv a/b c; mv c/f c/other', ground.target);
  forgetAll();
  t.equal(ground.open(file), 'deep\nmore');
  t.equal(ground.open(directory), "['other']");
  await live.unmount();
});

t.test('a handle of what was removed, or of an earlier mount, is stale', async (t) => {
  const ground = prepare(t);
  const first = await mountOurs(t, ground, { nfsExport: true });
  const removed = ground.handle('g');
  const kept = ground.handle('k');
  shell('rm g; echo other > new', ground.target);
  forgetAll();
  t.equal(ground.open(removed), 'ESTALE');
  t.equal(ground.open(kept), 'kept');
  await first.unmount();
  await mountOurs(t, ground, { nfsExport: true });
  shell('cat k a/b/f', ground.target);
  t.equal(ground.open(kept), 'ESTALE');
});

t.test('without the option a forgotten file is stale', async (t) => {
  const ground = prepare(t);
  await mountOurs(t, ground);
  const file = ground.handle('a/b/f');
  t.equal(ground.open(file), 'deep');
  forgetAll();
  t.equal(ground.open(file), 'ESTALE');
});

t.test('it excludes metacopy=on and index=off, as in the kernel', async (t) => {
  const ground = prepare(t);
  await t.rejects(mountOurs(t, ground, { nfsExport: true, metacopy: true }), /does not go with metacopy=on/);
  await t.rejects(mountOurs(t, ground, { nfsExport: true, index: false }), /does not go with index=off/);
});
