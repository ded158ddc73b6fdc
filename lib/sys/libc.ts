// SPDX-License-Identifier: MIT
/**
 * The one door to native code: every libc function used, declared once. Only
 * lib/sys imports koffi (test/rooms.test.ts enforces it).
 *
 * `errno` belongs to the thread and the next libc call may change it, so it is
 * read right after the call that set it: `result(raw())`. Buffers are handed
 * over as they are; a call is synchronous, so no buffer can move or die under it.
 */
import { createRequire } from 'node:module';

// koffi's CommonJS entry loads in half the time of its ES module.
const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const libc = koffi.load('libc.so.6');

/** A pointer argument: a buffer, or a number that is an address, or null. */
export type Pointer = Uint8Array | Uint32Array | number | null;

type Native = (...args: (Pointer | bigint)[]) => number;

function declare(prototype: string): Native {
  return libc.func(prototype) as unknown as Native;
}

export const raw = {
  openat: declare('int openat(int dir, const void *path, int flags, uint mode)'),
  syscall4: declare('long syscall(long number, long a, const void *b, const void *c, long d)'),
  syscall5: declare('long syscall(long number, long a, const void *b, long c, const void *d, long e)'),
  syscall6: declare(
    'long syscall(long number, long a, const void *b, long c, const void *d, const void *e, long f)',
  ),
  close: declare('int close(int fd)'),
  read: declare('int64 read(int fd, void *buffer, size_t size)'),
  write: declare('int64 write(int fd, const void *buffer, size_t size)'),
  writev: declare('int64 writev(int fd, const void *vector, int count)'),
  pread: declare('int64 pread64(int fd, void *buffer, size_t size, int64 offset)'),
  pwrite: declare('int64 pwrite64(int fd, const void *buffer, size_t size, int64 offset)'),
  lseek: declare('int64 lseek64(int fd, int64 offset, int whence)'),
  ftruncate: declare('int ftruncate64(int fd, int64 size)'),
  fallocate: declare('int fallocate64(int fd, int mode, int64 offset, int64 size)'),
  copyFileRange: declare(
    'int64 copy_file_range(int from, void *fromOffset, int to, void *toOffset, size_t size, uint flags)',
  ),
  splice: declare(
    'int64 splice(int from, void *fromOffset, int to, void *toOffset, size_t size, uint flags)',
  ),
  fsync: declare('int fsync(int fd)'),
  fdatasync: declare('int fdatasync(int fd)'),
  syncfs: declare('int syncfs(int fd)'),
  statx: declare('int statx(int dir, const void *path, int flags, uint mask, void *out)'),
  statfs: declare('int fstatfs(int fd, void *out)'),
  getdents: declare('int64 getdents64(int fd, void *buffer, size_t size)'),
  mkdirat: declare('int mkdirat(int dir, const void *path, uint mode)'),
  mknodat: declare('int mknodat(int dir, const void *path, uint mode, uint64 device)'),
  linkat: declare('int linkat(int fromDir, const void *from, int toDir, const void *to, int flags)'),
  symlinkat: declare('int symlinkat(const void *target, int dir, const void *path)'),
  readlinkat: declare('int64 readlinkat(int dir, const void *path, void *buffer, size_t size)'),
  renameat2: declare('int renameat2(int fromDir, const void *from, int toDir, const void *to, uint flags)'),
  unlinkat: declare('int unlinkat(int dir, const void *path, int flags)'),
  fchownat: declare('int fchownat(int dir, const void *path, uint uid, uint gid, int flags)'),
  chmod: declare('int chmod(const void *path, uint mode)'),
  utimensat: declare('int utimensat(int dir, const void *path, const void *times, int flags)'),
  lgetxattr: declare('int64 lgetxattr(const void *path, const void *name, void *value, size_t size)'),
  lsetxattr: declare(
    'int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
  ),
  llistxattr: declare('int64 llistxattr(const void *path, void *list, size_t size)'),
  lremovexattr: declare('int lremovexattr(const void *path, const void *name)'),
  mount: declare(
    'int mount(const void *source, const void *target, const void *type, ulong flags, const void *data)',
  ),
  umount2: declare('int umount2(const void *target, int flags)'),
  poll: declare('int poll(void *fds, ulong count, int timeoutMs)'),
  ioctl: declare('int ioctl(int fd, ulong request, void *argument)'),
  ioctlFd: declare('int ioctl(int fd, ulong request, long argument)'),
  flock: declare('int flock(int fd, int operation)'),
  nameToHandleAt: declare(
    'int name_to_handle_at(int dir, const void *path, void *handle, void *mountId, int flags)',
  ),
  openByHandleAt: declare('int open_by_handle_at(int mountFd, void *handle, int flags)'),
  socketpair: declare('int socketpair(int domain, int type, int protocol, void *pair)'),
  recvmsg: declare('int64 recvmsg(int socket, void *message, int flags)'),
  fcntl: declare('int fcntl(int fd, int command, long argument)'),
  setfsuid: declare('int setfsuid(uint uid)'),
  setfsgid: declare('int setfsgid(uint gid)'),
  prctl: declare('int prctl(int option, ulong a, ulong b, ulong c, ulong d)'),
  umask: declare('uint umask(uint mask)'),
  unshare: declare('int unshare(int flags)'),
  setns: declare('int setns(int fd, int type)'),
  syscall2: declare('long syscall(long number, const void *a, const void *b)'),
  syscall3: declare('long syscall(long number, ulong a, ulong b, ulong c)'),
  sethostname: declare('int sethostname(const void *name, size_t length)'),
  chdir: declare('int chdir(const void *path)'),
  fchdir: declare('int fchdir(int fd)'),
  fchown: declare('int fchown(int fd, uint uid, uint gid)'),
  setgroups: declare('int setgroups(size_t count, const void *groups)'),
  setresgid: declare('int setresgid(uint real, uint effective, uint saved)'),
  setresuid: declare('int setresuid(uint real, uint effective, uint saved)'),
  capset: declare('int capset(const void *header, const void *data)'),
  prlimit: declare('int prlimit64(int pid, int resource, const void *limit, void *old)'),
  pipe2: declare('int pipe2(void *pair, int flags)'),
  setsid: declare('int setsid()'),
  signal: declare('intptr_t signal(int number, intptr_t action)'),
  sigprocmask: declare('int sigprocmask(int how, const void *set, void *old)'),
  execve: declare('int execve(const void *path, const void *arguments, const void *environment)'),
  dup2: declare('int dup2(int from, int to)'),
  tcgetattr: declare('int tcgetattr(int fd, void *termios)'),
  tcsetattr: declare('int tcsetattr(int fd, int actions, const void *termios)'),
  cfmakeraw: declare('void cfmakeraw(void *termios)'),
  waitpid: declare('int waitpid(int pid, void *status, int options)'),
  bind: declare('int bind(int socket, const void *address, uint size)'),
  listen: declare('int listen(int socket, int backlog)'),
  accept4: declare('int accept4(int socket, void *address, void *size, int flags)'),
  socket: declare('int socket(int domain, int type, int protocol)'),
  sendmsg: declare('int64 sendmsg(int socket, const void *message, int flags)'),
  mmap: declare('void *mmap(uintptr_t at, size_t size, int protection, int flags, int fd, int64 offset)'),
  mallocTrim: declare('int malloc_trim(size_t pad)'),
  munmap: declare('int munmap(uintptr_t at, size_t size)'),
};

/** The memory at an address, as long as it is mapped. */
export function viewMemory(address: bigint, size: number): ArrayBuffer {
  return koffi.view(address, size);
}

/** Declares functions of another library, by their prototypes; undefined where the machine does not have it. */
export function openLibrary(name: string): ((prototype: string) => Native) | undefined {
  try {
    const library = koffi.load(name);
    return (prototype) => library.func(prototype) as unknown as Native;
  } catch {
    // koffi has no code for it: what cannot be loaded is not there for us.
    return undefined;
  }
}

/** What a libc call answered: its value, or the negated errno where it answered -1. */
export function result(value: number): number {
  return value === -1 ? -koffi.errno() : value;
}

/** The address of a buffer, to be written into a structure that the kernel reads (iovec). */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer) as bigint;
}
