"""Runs a command under a seccomp filter that refuses system calls, as some containers do: refuse.py WHAT ERRNO COMMAND...

WHAT is `fork` (threads can still be made: the filter looks for clone(2) without CLONE_THREAD, fork(2) and vfork(2)),
`memfd` (memfd_create(2)), `groups` (setgroups(2)), `marks` (PR_SET_MM of prctl(2)) or `nameless` (open(2) and openat(2) with O_TMPFILE, which NFS, vfat
and old kernels do not know).
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
OPEN, CLONE, FORK, VFORK, SETGROUPS, OPENAT, MEMFD_CREATE = 2, 56, 57, 58, 116, 257, 319  # x86_64
PRCTL, PR_SET_MM = 157, 35
CLONE_THREAD = 0x00010000
O_TMPFILE = 0x00400000

refuse = ERRNO | int(sys.argv[2])
program = {
    "fork": [
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (JUMP_EQUAL, 4, 0, FORK),
        (JUMP_EQUAL, 3, 0, VFORK),
        (JUMP_EQUAL, 0, 3, CLONE),
        (LOAD, 0, 0, 16),  # seccomp_data.args[0], low half
        (JUMP_SET, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, refuse),
        (RETURN, 0, 0, ALLOW),
    ],
    "memfd": [
        (LOAD, 0, 0, 0),
        (JUMP_EQUAL, 0, 1, MEMFD_CREATE),
        (RETURN, 0, 0, refuse),
        (RETURN, 0, 0, ALLOW),
    ],
    "groups": [
        (LOAD, 0, 0, 0),
        (JUMP_EQUAL, 0, 1, SETGROUPS),
        (RETURN, 0, 0, refuse),
        (RETURN, 0, 0, ALLOW),
    ],
    "marks": [
        (LOAD, 0, 0, 0),
        (JUMP_EQUAL, 0, 3, PRCTL),
        (LOAD, 0, 0, 16),  # seccomp_data.args[0], low half
        (JUMP_EQUAL, 0, 1, PR_SET_MM),
        (RETURN, 0, 0, refuse),
        (RETURN, 0, 0, ALLOW),
    ],
    "nameless": [
        (LOAD, 0, 0, 0),
        (JUMP_EQUAL, 1, 0, OPEN),
        (JUMP_EQUAL, 2, 5, OPENAT),
        (LOAD, 0, 0, 24),  # open(2): seccomp_data.args[1], low half
        (JUMP_SET, 2, 3, O_TMPFILE),
        (LOAD, 0, 0, 32),  # openat(2): seccomp_data.args[2]
        (JUMP_SET, 0, 1, O_TMPFILE),
        (RETURN, 0, 0, refuse),
        (RETURN, 0, 0, ALLOW),
    ],
}[sys.argv[1]]
code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
buffer = ctypes.create_string_buffer(code, len(code))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
filter_program = Program(len(program), ctypes.addressof(buffer))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("prctl(PR_SET_NO_NEW_PRIVS): " + os.strerror(ctypes.get_errno()))
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0) != 0:
    sys.exit("prctl(PR_SET_SECCOMP): " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[3], sys.argv[3:])
