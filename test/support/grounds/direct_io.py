# SPDX-License-Identifier: MIT
"""
Two processes write counters with O_DIRECT and io_submit(2), two read them through the page cache, and say how
often they saw less than what was already written.

    direct_io.py FILE SECONDS
"""
import ctypes
import mmap
import multiprocessing
import os
import random
import struct
import sys
import time

BLOCKS, SIZE = 64, 4096
libc = ctypes.CDLL(None, use_errno=True)
done = mmap.mmap(-1, 8 * BLOCKS)
stop, seen, stale = (multiprocessing.Value("i", 0) for _ in range(3))


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "aio")
    return result


def written(block):
    return struct.unpack_from("<Q", done, 8 * block)[0]


def write_at_once(context, fd, writes):
    """Writes all pairs of block and memory, asynchronously, and waits for them."""
    count = len(writes)
    pointers, kept = (ctypes.c_void_p * count)(), []
    for index, (block, memory) in enumerate(writes):
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        fields = (index, 0, 0, 1, 0, fd, address, SIZE, block * SIZE, 0, 0, 0)
        kept.append(ctypes.create_string_buffer(struct.pack("<QIIHHIQQqQII", *fields)))
        pointers[index] = ctypes.addressof(kept[-1])
    check(libc.syscall(209, context, ctypes.c_long(count), pointers))
    events = (ctypes.c_uint64 * (4 * count))()
    while count > 0:
        count -= check(libc.syscall(208, context, ctypes.c_long(1), ctypes.c_long(count), events, None))


def writer(path, seed, blocks):
    chance, context = random.Random(seed), ctypes.c_ulong(0)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    check(libc.syscall(206, 64, ctypes.byref(context)))
    memories = [mmap.mmap(-1, SIZE) for _ in range(4)]
    while not stop.value:
        chosen = chance.sample(blocks, len(memories))
        for block, memory in zip(chosen, memories):
            memory[0:8] = struct.pack("<Q", written(block) + 1)
        write_at_once(context, fd, list(zip(chosen, memories)))
        for block in chosen:
            struct.pack_into("<Q", done, 8 * block, written(block) + 1)


def reader(path, seed):
    chance, fd, reads, old = random.Random(seed), os.open(path, os.O_RDONLY), 0, 0
    while not stop.value:
        block = chance.randrange(BLOCKS)
        least = written(block)
        reads += 1
        old += struct.unpack("<Q", os.pread(fd, 8, block * SIZE))[0] < least
    for total, count in ((seen, reads), (stale, old)):
        with total.get_lock():
            total.value += count


def main(path, seconds):
    with open(path, "wb") as file:
        file.write(bytes(BLOCKS * SIZE))
    half = BLOCKS // 2
    parts = [range(half), range(half, BLOCKS)]
    work = [(writer, (path, seed, list(part))) for seed, part in enumerate(parts)]
    work += [(reader, (path, seed)) for seed in (2, 3)]
    processes = [multiprocessing.Process(target=target, args=args) for target, args in work]
    for process in processes:
        process.start()
    time.sleep(seconds)
    stop.value = 1
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit(1)
    print(sum(map(written, range(BLOCKS))), seen.value, stale.value)


main(sys.argv[1], float(sys.argv[2]))
