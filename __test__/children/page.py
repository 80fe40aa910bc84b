"""Shows a page of facts that says what it is told: page.py FIRST [AFTER], where AFTER is said from SIGHUP on.

Members that are not given are those of an application that has just loaded the package and answers SIGHUP. UID in the
environment is whose process it becomes (an interpreter may be where only root may start it), OWNER whose page it has inherited.
"""

import json
import os
import signal
import struct
import sys
import time

HEADER = 64
SLOT = 16384
if "UID" in os.environ:
    os.setuid(int(os.environ["UID"]))
fd = os.memfd_create("heapdump-rs")
if "OWNER" in os.environ:
    os.fchown(fd, int(os.environ["OWNER"]), -1)
os.ftruncate(fd, HEADER + 2 * SLOT)


def say(count, members):
    page = {
        "version": "9.9.9", "pid": os.getpid(), "loadedAt": 1, "signal": "SIGHUP", "directory": "/", "mode": "fork",
        "threads": {"loaded": 1, "dumped": 1, "main": True}, "nearHeapLimit": False, "monitors": 0, "signals": 0, "snapshots": [],
    }
    text = json.dumps({**page, **json.loads(members)}).encode()
    os.pwrite(fd, struct.pack("I", len(text)) + text, HEADER + count % 2 * SLOT)
    os.pwrite(fd, b"HEAPDUMP" + struct.pack("IIQ", 1, 0, count), 0)


say(2, sys.argv[1])
if len(sys.argv) > 2:
    signal.signal(signal.SIGHUP, lambda *_: say(3, sys.argv[2]))
print("ready", flush=True)
time.sleep(600)
