"""A filter for system calls that no notebook needs and that lead out of a sandbox or into other processes.

Among them are those that change another process of the same user, such as its limits: the process that forks one for
each submission must stay as it is for the next. They fail with EPERM. The namespaces are the first protection, this
filter is the second. Nothing is done on machines that are unknown.
"""

from __future__ import annotations

import ctypes
import platform
import struct

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 4, 38, 22, 2
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NAMESPACES = 0x7E020000 | 0x80  # CLONE_NEW*, the time namespace included
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# name: numbers on x86_64 and aarch64
_CALLS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "pidfd_getfd": (438, 438), "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
}  # fmt: skip
_OF_OTHERS = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122)}  # allowed for process 0, which is the caller
# name: the numbers, and which argument is the signal
_SIGNALS = {
    "kill": (62, 129, 1), "tkill": (200, 130, 1), "tgkill": (234, 131, 2), "rt_sigqueueinfo": (129, 138, 1),
    "rt_tgsigqueueinfo": (297, 240, 2), "pidfd_send_signal": (424, 424, 1),
}  # fmt: skip
_SIGSTOP = 19  # a warm process that is stopped can neither check memory nor end a child
_MACHINES = {"x86_64": (0xC000003E, 0, 56), "aarch64": (0xC00000B7, 1, 220)}
_CLONE3 = 435


def deny_inspection() -> None:
    """No other process of the same user may read or stop this one, nor those that it forks."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def restrict() -> bool:
    """Filters this process and its descendants. False on a machine that is not known, or without seccomp."""
    found = _MACHINES.get(platform.machine())
    if found is None:
        return False
    program = _program(*found)
    library = ctypes.CDLL(None, use_errno=True)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    buffer = ctypes.create_string_buffer(program, len(program))
    filtered = Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filtered), 0, 0) == 0)


def _program(architecture: int, column: int, clone: int) -> bytes:
    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("<HBBI", code, yes, no, value)

    steps = [
        step(_LOAD, 4), step(_EQUAL, architecture, 1, 0), step(_RETURN, _KILL),
        step(_LOAD, 0), step(_AT_LEAST, _X32, 0, 1), step(_RETURN, _ERRNO | _EPERM),
        step(_EQUAL, _CLONE3, 0, 1), step(_RETURN, _ERRNO | _ENOSYS),  # its flags are in memory: libc then uses clone
    ]  # fmt: skip
    for numbers in _CALLS.values():
        steps += [step(_EQUAL, numbers[column], 0, 1), step(_RETURN, _ERRNO | _EPERM)]
    for numbers in _OF_OTHERS.values():
        steps += [step(_EQUAL, numbers[column], 0, 4), step(_LOAD, 16), step(_EQUAL, 0, 1, 0)]
        steps += [step(_RETURN, _ERRNO | _EPERM), step(_RETURN, _ALLOW)]
    for *both, argument in _SIGNALS.values():
        steps += [step(_EQUAL, both[column], 0, 4), step(_LOAD, 16 + 8 * argument), step(_EQUAL, _SIGSTOP, 0, 1)]
        steps += [step(_RETURN, _ERRNO | _EPERM), step(_RETURN, _ALLOW)]
    steps += [
        step(_EQUAL, clone, 0, 3), step(_LOAD, 16), step(_ANY, _NAMESPACES, 0, 1), step(_RETURN, _ERRNO | _EPERM),
        step(_RETURN, _ALLOW),
    ]  # fmt: skip
    return b"".join(steps)
