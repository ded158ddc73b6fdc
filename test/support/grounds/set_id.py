# SPDX-License-Identifier: MIT
"""
Carries out every case of a table on one file system and prints what became of setuid,
setgid, capabilities and ACL, as JSON. A case is a file, what is done to it, and by whom.

    set_id.py make DIRECTORY    the files of all cases
    set_id.py run DIRECTORY     carries the cases out
"""
import ctypes
import fcntl
import json
import mmap
import os
import stat
import struct
import sys

sys.dont_write_bytecode = True

from callers import (  # noqa: E402
    ACCESS, DEFAULT, ELSE, GROUP, NOBODY, OTHER, OWNER, acl, apart, become, check, libc, opened,
)

CAP_FSETID = 4
CAPABILITY = "security.capability"
# cap_net_raw=ep, revision 2
CAPABLE = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


# user::rwx, user:1005:rwx, group::rwx, mask::rwx, other::rwx
EXTENDED = acl((1, 7, NOBODY), (2, 7, 1005), (4, 7, NOBODY), (16, 7, NOBODY), (32, 7, NOBODY))
# The mask leaves the group without x.
MASKED = acl((1, 7, NOBODY), (2, 7, 1005), (4, 7, NOBODY), (16, 6, NOBODY), (32, 7, NOBODY))
# Nothing that the mode could not say.
MINIMAL = acl((1, 7, NOBODY), (4, 7, NOBODY), (32, 7, NOBODY))


def writing(act):
    return opened(os.O_WRONLY, act)


def fallocate(mode):
    return writing(lambda fd: check(libc.fallocate(fd, mode, ctypes.c_long(0), ctypes.c_long(4096))))


def copy_range(fd):
    source = os.open(SOURCE, os.O_RDONLY)
    try:
        os.copy_file_range(source, fd, 100, 0, 0)
    finally:
        os.close(source)


def clone(fd):
    source = os.open(SOURCE, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x40049409, source)
    finally:
        os.close(source)


def map_write(fd):
    with mmap.mmap(fd, 4096) as memory:
        memory[0:4] = b"mmap"
        memory.flush()


def direct(fd):
    with mmap.mmap(-1, 4096) as memory:
        os.writev(fd, [memory])


def submit(fd):
    """One write by io_submit(2), asynchronous."""
    context = ctypes.c_ulong(0)
    check(libc.syscall(206, 1, ctypes.byref(context)))
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    block = ctypes.create_string_buffer(struct.pack("<QIIHHIQQqQII", 0, 0, 0, 1, 0, fd, address, 4096, 0, 0, 0, 0))
    pointer = ctypes.c_void_p(ctypes.addressof(block))
    try:
        check(libc.syscall(209, context, 1, ctypes.byref(pointer)))
        event = (ctypes.c_uint64 * 4)()
        check(libc.syscall(208, context, ctypes.c_long(1), ctypes.c_long(1), event, None))
        if ctypes.c_int64(event[2]).value < 0:
            raise OSError(-ctypes.c_int64(event[2]).value, "aio")
    finally:
        libc.syscall(207, context)


SOURCE = None

FILE_OPERATIONS = {
    "write": writing(lambda fd: os.write(fd, b"x")),
    "append": opened(os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b"x")),
    "write nothing": writing(lambda fd: os.write(fd, b"")),
    "pwrite": writing(lambda fd: os.pwrite(fd, b"x", 10)),
    "writev": writing(lambda fd: os.writev(fd, [b"x", b"y"])),
    "O_DIRECT write": opened(os.O_WRONLY | os.O_DIRECT, direct),
    "io_submit": writing(submit),
    "O_DIRECT io_submit": opened(os.O_WRONLY | os.O_DIRECT, submit),
    "mmap": opened(os.O_RDWR, map_write),
    "open": writing(lambda fd: None),
    "O_TRUNC": opened(os.O_WRONLY | os.O_TRUNC, lambda fd: None),
    "truncate": lambda path: os.truncate(path, 10),
    "truncate to the same": lambda path: os.truncate(path, 8192),
    "ftruncate": writing(lambda fd: os.ftruncate(fd, 9000)),
    "fallocate": fallocate(0),
    "KEEP_SIZE": fallocate(1),
    "PUNCH_HOLE": fallocate(3),
    "COLLAPSE_RANGE": fallocate(8),
    "ZERO_RANGE": fallocate(16),
    "INSERT_RANGE": fallocate(32),
    "copy_file_range": writing(copy_range),
    "FICLONE": writing(clone),
    "remove capability": lambda path: os.removexattr(path, CAPABILITY),
}

OPERATIONS = {
    "set ACL": lambda path: os.setxattr(path, ACCESS, EXTENDED),
    "set ACL with mask": lambda path: os.setxattr(path, ACCESS, MASKED),
    "set minimal ACL": lambda path: os.setxattr(path, ACCESS, MINIMAL),
    "remove ACL": lambda path: os.removexattr(path, ACCESS),
    "set default ACL": lambda path: os.setxattr(path, DEFAULT, EXTENDED),
    "remove default ACL": lambda path: os.removexattr(path, DEFAULT),
    "chown -1 -1": lambda path: os.chown(path, -1, -1),
    "chown same": lambda path: os.chown(path, OWNER, GROUP),
    "chown user": lambda path: os.chown(path, OWNER, -1),
    "chown group": lambda path: os.chown(path, -1, GROUP),
    "chown other group": lambda path: os.chown(path, -1, ELSE),
    "chown other user": lambda path: os.chown(path, OTHER, -1),
    "lchown": lambda path: os.lchown(path, -1, GROUP),
    "fchown": opened(os.O_RDONLY, lambda fd: os.fchown(fd, -1, GROUP)),
    "chmod 7777": lambda path: os.chmod(path, 0o7777),
    "chmod 6767": lambda path: os.chmod(path, 0o6767),
    "fchmod": opened(os.O_RDONLY, lambda fd: os.fchmod(fd, 0o2777)),
    "utime": lambda path: os.utime(path, (1, 1)),
    "setxattr": lambda path: os.setxattr(path, "user.x", b"x"),
}

DIRECTORY_OPERATIONS = {
    "create": lambda path: os.close(os.open(path + "/new", os.O_CREAT | os.O_EXCL, 0o6777)),
    "mkdir": lambda path: os.mkdir(path + "/new", 0o6777),
    "mknod": lambda path: os.mknod(path + "/new", stat.S_IFIFO | 0o6777),
    "symlink": lambda path: os.symlink("x", path + "/new"),
    "O_TMPFILE": lambda path: unnamed(path),
}


def unnamed(path):
    fd = os.open(path, os.O_TMPFILE | os.O_RDWR, 0o6777)
    os.link(f"/proc/self/fd/{fd}", path + "/new", follow_symlinks=True)
    os.close(fd)


# name: what it is, its mode, and what it has beside
OBJECTS = {
    "setuid file": ("file", 0o4777, ()),
    "setgid file": ("file", 0o2777, ()),
    "setgid file, group without x": ("file", 0o2767, ()),
    "setuid and setgid file, group without x": ("file", 0o6767, ()),
    "file with capability": ("file", 0o777, (CAPABILITY,)),
    "setuid file with capability": ("file", 0o6777, (CAPABILITY,)),
    "setgid file with ACL": ("file", 0o6777, (ACCESS,)),
    "setgid directory": ("directory", 0o2777, ()),
    "setgid directory, group without x": ("directory", 0o6767, ()),
    "setgid directory with ACLs": ("directory", 0o2777, (ACCESS, DEFAULT)),
}

# name: user, group, other groups, and capabilities it lacks
CALLERS = {
    "owner with the group": (OWNER, GROUP, [], []),
    "owner with the group beside": (OWNER, ELSE, [GROUP], []),
    "owner outside": (OWNER, ELSE, [], []),
    "other with the group": (OTHER, GROUP, [], []),
    "other with the group beside": (OTHER, ELSE, [GROUP], []),
    "other outside": (OTHER, ELSE, [], []),
    "root": (0, 0, [], []),
    "root without CAP_FSETID": (0, 0, [], [CAP_FSETID]),
}


def operations(kind):
    own = FILE_OPERATIONS if kind == "file" else DIRECTORY_OPERATIONS
    return {**own, **OPERATIONS}


def cases():
    """Every case: its number, which names its file, object, operation and caller."""
    number = 0
    for name, (kind, _, _) in OBJECTS.items():
        for operation in operations(kind):
            for caller in CALLERS:
                yield str(number), name, operation, caller
                number += 1


def make(directory):
    with open(os.path.join(directory, "source"), "wb") as source:
        source.write(b"s" * 8192)
    for number, name, _, _ in cases():
        kind, mode, beside = OBJECTS[name]
        path = os.path.join(directory, number)
        if kind == "file":
            with open(path, "wb") as file:
                file.write(b"a" * 8192)
        else:
            os.mkdir(path)
        os.chown(path, OWNER, GROUP)
        for attribute in beside:
            os.setxattr(path, attribute, CAPABLE if attribute == CAPABILITY else EXTENDED)
        os.chmod(path, mode)


def mode_of(path):
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return f"{stat.S_IMODE(found.st_mode):04o} {found.st_uid}:{found.st_gid}"


def act(directory, caller):
    """All cases of one caller, as the caller."""
    become(*CALLERS[caller])
    done = {}
    for number, name, operation, who in cases():
        if who != caller:
            continue
        path = os.path.join(directory, number)
        try:
            operations(OBJECTS[name][0])[operation](path)
            answer = "done"
        except OSError as error:
            answer = os.strerror(error.errno)
        done[number] = [answer, mode_of(path)]
    return done


def has(path, attribute):
    try:
        return os.getxattr(path, attribute, follow_symlinks=False).hex()[:12]
    except OSError:
        return None


def run(directory):
    global SOURCE
    SOURCE = os.path.join(directory, "source")
    os.chmod(SOURCE, 0o644)
    done = {}
    for caller in CALLERS:
        done.update(apart(lambda: act(directory, caller)))
    result = {}
    for number, name, operation, caller in cases():
        path = os.path.join(directory, number)
        found = {
            "answer": done[number][0],
            "mode": done[number][1],
            "capability": has(path, CAPABILITY) is not None,
            "ACL": has(path, ACCESS) is not None,
            "default ACL": has(path, DEFAULT) is not None,
        }
        if os.path.isdir(path):
            new = os.path.join(path, "new")
            found["new"] = mode_of(new)
        result[f"{name}: {operation} by {caller}"] = found
    json.dump(result, sys.stdout)


{"make": make, "run": run}[sys.argv[1]](sys.argv[2])
