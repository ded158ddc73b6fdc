# SPDX-License-Identifier: MIT
"""
What tables of cases share: owners and ACLs of their objects, and who asks, each in a process of its own.
Whoever imports it sets sys.dont_write_bytecode first, so that nothing is left in the checkout.
"""
import ctypes
import json
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
OWNER, OTHER, GROUP, ELSE = 1000, 1001, 2000, 3000
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
NOBODY = 0xFFFFFFFF


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "call")
    return result


def opened(flags, act):
    """An operation on a path that is one on its open file."""

    def operate(path):
        fd = os.open(path, flags)
        try:
            return act(fd)
        finally:
            os.close(fd)

    return operate


def drop(capabilities):
    header = struct.pack("<Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    check(libc.capget(header, data))
    words = list(struct.unpack("<6I", data.raw))
    for capability in capabilities:
        for index in range(3):
            words[index] &= ~(1 << capability)
    check(libc.capset(header, struct.pack("<6I", *words)))


def become(uid, gid, groups, lacks):
    drop(lacks)
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(0)


def apart(act):
    """What `act` answers in a process of its own, by way of JSON."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        answers = act()
        with os.fdopen(writer, "w") as out:
            json.dump(answers, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answers = json.load(pipe)
    os.waitpid(child, 0)
    return answers
