# SPDX-License-Identifier: MIT
"""
Carries out every case of a table on one file system and prints what each was answered, as
JSON. A case is an object, what is asked of it, and who asks.

    rights.py make DIRECTORY    the objects of all cases
    rights.py run DIRECTORY     carries the cases out
"""
import ctypes
import fcntl
import json
import os
import stat
import struct
import sys

sys.dont_write_bytecode = True

from callers import ACCESS, ELSE, GROUP, NOBODY, OTHER, OWNER, acl, apart, become, check, libc, opened  # noqa: E402

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_LINUX_IMMUTABLE, CAP_SYS_ADMIN = 1, 2, 3, 9, 21
ATTRIBUTES = ["user.secret", "trusted.secret", "security.secret", "trusted.overlay.secret"]
CLONE_NEWUSER = 0x10000000
AT_FDCWD = -100


# OTHER may read; the group class is what the mask leaves.
SHARED = acl((1, 6, NOBODY), (2, 4, OTHER), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))


def flags_of(fd):
    return struct.unpack("<i", fcntl.ioctl(fd, 0x80086601, bytes(4)))[0]


def add_flag(flag):
    return opened(os.O_RDONLY, lambda fd: fcntl.ioctl(fd, 0x40086602, struct.pack("<i", flags_of(fd) | flag)) and None)


def extended(fd):
    return fcntl.ioctl(fd, 0x801C581F, bytes(28)).hex()


def set_extended(flag):
    def act(fd):
        value = bytearray(fcntl.ioctl(fd, 0x801C581F, bytes(28)))
        struct.pack_into("<I", value, 0, struct.unpack_from("<I", value)[0] | flag)
        fcntl.ioctl(fd, 0x401C5820, bytes(value))

    return opened(os.O_RDONLY, act)


def by_handle(path):
    """name_to_handle_at(2) is for everybody, open_by_handle_at(2) is not."""
    handle = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    check(libc.name_to_handle_at(AT_FDCWD, path.encode(), handle, ctypes.byref(mount), 0))
    root = os.open(ROOT, os.O_RDONLY)
    try:
        fd = check(libc.open_by_handle_at(root, handle, os.O_RDONLY))
        os.close(fd)
    finally:
        os.close(root)


def through_path(path):
    """O_PATH needs no right on the file; what it leads to by /proc is judged as by its name."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return sorted(os.listxattr(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)


def watch(path):
    fd = check(libc.inotify_init1(0))
    try:
        check(libc.inotify_add_watch(fd, path.encode(), 0xFFF))
    finally:
        os.close(fd)


def size_of_list(path):
    return check(libc.llistxattr(path.encode(), None, ctypes.c_size_t(0)))


def small_list(path):
    """Room for what may be listed to an ordinary user, and no more."""
    names = ["user.secret", "security.secret"]
    return check(libc.llistxattr(path.encode(), ctypes.create_string_buffer(64), ctypes.c_size_t(sum(len(n) + 1 for n in names))))


def shown(path):
    found = os.lstat(path)
    return f"{stat.S_IMODE(found.st_mode):04o} {found.st_uid}:{found.st_gid} {found.st_size if stat.S_ISREG(found.st_mode) else ''}"


ANY = {
    "stat": shown,
    "listxattr": lambda path: sorted(os.listxattr(path, follow_symlinks=False)),
    "listxattr, its size": size_of_list,
    "listxattr, little room": small_list,
    "listxattr by O_PATH": through_path,
    "get ACL": lambda path: os.getxattr(path, ACCESS).hex(),
    "set ACL": lambda path: os.setxattr(path, ACCESS, SHARED),
    "remove ACL": lambda path: os.removexattr(path, ACCESS),
    "access r": lambda path: os.access(path, os.R_OK),
    "access w": lambda path: os.access(path, os.W_OK),
    "access x": lambda path: os.access(path, os.X_OK),
    "chmod": lambda path: os.chmod(path, 0o707),
    "chown user": lambda path: os.chown(path, OTHER, -1, follow_symlinks=False),
    "chown group": lambda path: os.chown(path, -1, ELSE, follow_symlinks=False),
    "utime": lambda path: os.utime(path, (1, 1)),
    "utime now": lambda path: os.utime(path),
    "get flags": opened(os.O_RDONLY, flags_of),
    "set nodump": add_flag(0x40),
    "set immutable": add_flag(0x10),
    "set append": add_flag(0x20),
    "get extended flags": opened(os.O_RDONLY, extended),
    "set extended nodump": set_extended(0x80),
    "set extended immutable": set_extended(0x8),
    "by handle": by_handle,
    "watch": watch,
    "link": lambda path: os.link(path, path + " link", follow_symlinks=False),
    "rename": lambda path: os.rename(path, path + " moved"),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "statvfs": lambda path: os.statvfs(path).f_namemax,
    "O_NOATIME": opened(os.O_RDONLY | os.O_NOATIME, lambda fd: None),
}
for attribute in ATTRIBUTES:
    ANY[f"get {attribute}"] = lambda path, name=attribute: os.getxattr(path, name, follow_symlinks=False).hex()
    ANY[f"set {attribute}"] = lambda path, name=attribute: os.setxattr(path, name, b"y", follow_symlinks=False)
    ANY[f"remove {attribute}"] = lambda path, name=attribute: os.removexattr(path, name, follow_symlinks=False)

FILE = {
    "read": opened(os.O_RDONLY, lambda fd: os.read(fd, 9).decode()),
    "write": opened(os.O_WRONLY, lambda fd: os.write(fd, b"x")),
    "truncate": lambda path: os.truncate(path, 1),
    "fallocate": opened(os.O_WRONLY, lambda fd: os.posix_fallocate(fd, 0, 9999)),
    "copy out": lambda path: copy_between(path, os.path.join(ROOT, "open")),
    "copy in": lambda path: copy_between(os.path.join(ROOT, "open"), path),
    "O_CREAT": opened(os.O_WRONLY | os.O_CREAT, lambda fd: None),
    "exchange": lambda path: check(libc.renameat2(AT_FDCWD, path.encode(), AT_FDCWD, (path + " own").encode(), 2)),
    "execute": lambda path: os.execv(path, [path]) if not os.access(path, os.X_OK) else None,
}

DIRECTORY = {
    "list": lambda path: sorted(os.listdir(path)),
    "list with types": lambda path: sorted(entry.name for entry in os.scandir(path) if entry.is_file(follow_symlinks=False)),
    "list and stat": lambda path: [shown(os.path.join(path, name)) for name in os.listdir(path)],
    "stat inside": lambda path: shown(path + "/inside"),
    "read inside": lambda path: opened(os.O_RDONLY, lambda fd: os.read(fd, 9).decode())(path + "/inside"),
    "listxattr inside": lambda path: sorted(os.listxattr(path + "/inside")),
    "look up what is not there": lambda path: os.stat(path + "/nothing") and None,
    "read link inside": lambda path: os.readlink(path + "/link"),
    "chdir": lambda path: (os.chdir(path), os.chdir("/"), None)[2],
    "create inside": opened(os.O_RDONLY, lambda fd: None) and (lambda path: os.close(os.open(path + "/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY))),
    "unlink inside": lambda path: os.unlink(path + "/inside"),
    "rename inside": lambda path: os.rename(path + "/inside", path + "/moved"),
    "link inside": lambda path: os.link(path + "/inside", path + "/linked"),
    "O_CREAT inside": opened(os.O_RDONLY, lambda fd: None) and (lambda path: os.close(os.open(path + "/inside", os.O_CREAT | os.O_WRONLY))),
    "follow a link inside": lambda path: opened(os.O_RDONLY, lambda fd: os.read(fd, 9).decode())(path + "/link"),
    "O_TMPFILE": opened(os.O_TMPFILE | os.O_RDWR, lambda fd: None),
    "mknod device": lambda path: os.mknod(path + "/device", stat.S_IFCHR | 0o666, os.makedev(1, 3)),
}

LINK = {"read link": os.readlink}


def copy_between(source, target):
    opened(os.O_RDONLY, lambda a: opened(os.O_WRONLY, lambda b: os.copy_file_range(a, b, 100, 0, 0))(target))(source)


# name: what it is, its mode, its ACL
OBJECTS = {
    "secret file": ("file", 0o600, None),
    "file of a group": ("file", 0o640, None),
    "file for all": ("file", 0o644, None),
    "file for writing only": ("file", 0o622, None),
    "file with ACL": ("file", 0o640, SHARED),
    "secret directory": ("directory", 0o700, None),
    "directory to pass": ("directory", 0o711, None),
    "directory to list": ("directory", 0o744, None),
    "directory for all": ("directory", 0o777, None),
    "sticky directory": ("directory", 0o1777, None),
    "link": ("link", 0o777, None),
}

# name: user, group, other groups, capabilities it lacks, and the map of its user namespace
EVERYBODY = "0 0 4294967295"
CALLERS = {
    "owner": (OWNER, ELSE, [], [], None),
    "group": (OTHER + 1, ELSE, [GROUP], [], None),
    "other": (OTHER, ELSE, [], [], None),
    "root": (0, 0, [], [], None),
    "root without CAP_SYS_ADMIN": (0, 0, [], [CAP_SYS_ADMIN], None),
    "root without CAP_DAC": (0, 0, [], [CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH], None),
    "root without CAP_FOWNER": (0, 0, [], [CAP_FOWNER, CAP_LINUX_IMMUTABLE], None),
    "root of a namespace of all users": (0, 0, [], [], EVERYBODY),
    "root of a namespace": (0, 0, [], [], "0 1001 1"),
}


def asked(kind):
    return {**ANY, **{"file": FILE, "directory": DIRECTORY, "link": LINK}[kind]}


def cases():
    """Every case: its number, which names its object, the object's name, what is asked, and by whom."""
    number = 0
    for name, (kind, _, _) in OBJECTS.items():
        for operation in asked(kind):
            for caller in CALLERS:
                yield str(number), name, operation, caller
                number += 1


def write(path, content):
    with open(path, "w") as file:
        file.write(content)


def add_attributes(path):
    for attribute in ATTRIBUTES[:3]:
        if attribute.startswith("user.") and os.path.islink(path):
            continue
        os.setxattr(path, attribute, b"x", follow_symlinks=False)


def make_object(path, name):
    kind, mode, access = OBJECTS[name]
    if kind == "link":
        os.symlink("secret", path)
    elif kind == "file":
        write(path, "content")
        write(path + " own", "own")
        os.chown(path + " own", OTHER, ELSE)
    else:
        os.mkdir(path)
        write(path + "/inside", "inside")
        os.symlink("inside", path + "/link")
        os.chmod(path + "/inside", 0o640)
        os.chown(path + "/inside", OWNER, GROUP)
        os.chown(path + "/link", OWNER, GROUP, follow_symlinks=False)
        add_attributes(path + "/inside")
    os.chown(path, OWNER, GROUP, follow_symlinks=False)
    add_attributes(path)
    if kind != "link":
        os.chmod(path, mode)
    if access is not None:
        os.setxattr(path, ACCESS, access)


def make(directory):
    write(os.path.join(directory, "open"), "open")
    os.chmod(os.path.join(directory, "open"), 0o666)
    # Everybody may make names, only owners may take them away.
    os.chmod(directory, 0o1777)
    for number, name, _, _ in cases():
        make_object(os.path.join(directory, number), name)


def enter_namespace(ids):
    """A user namespace whose map its parent writes, who may map whom it likes."""
    ready, go = os.pipe(), os.pipe()
    pid = os.getpid()
    mapper = os.fork()
    if mapper == 0:
        os.read(ready[0], 1)
        for file in ("uid_map", "gid_map"):
            write(f"/proc/{pid}/{file}", ids)
        os.write(go[1], b"x")
        os._exit(0)
    check(libc.unshare(CLONE_NEWUSER))
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os.waitpid(mapper, 0)


def take_place_of(caller):
    uid, gid, groups, lacks, ids = CALLERS[caller]
    if ids is not None:
        enter_namespace(ids)
    become(uid, gid, groups, lacks)


def answer(operation, path):
    try:
        return operation(path)
    except OSError as error:
        return os.strerror(error.errno)


def act(directory, caller):
    """All cases of one caller, as the caller."""
    take_place_of(caller)
    return {
        f"{operation} of {name} by {caller}": answer(
            asked(OBJECTS[name][0])[operation], os.path.join(directory, number)
        )
        for number, name, operation, who in cases()
        if who == caller
    }


def run(directory):
    global ROOT
    ROOT = directory
    result = {}
    for caller in CALLERS:
        result.update(apart(lambda: act(directory, caller)))
    json.dump(result, sys.stdout)


{"make": make, "run": run}[sys.argv[1]](sys.argv[2])
