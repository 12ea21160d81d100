"""What the process that reads videos may take of its machine."""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from contracts.limits import VideoLimits

_SHARE = 0.75
"""Of the memory there is, where no limit is set: the rest is the system's and the page cache's."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_PR_SET_PDEATHSIG = 1


def memory_limit(limits: VideoLimits) -> int:
    """Bytes that the process may hold, by the limits or else by the machine."""
    if limits.max_memory_bytes is not None:
        return limits.max_memory_bytes
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no limit, or no such system
        machine_bytes = min(machine_bytes, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    return int(machine_bytes * _SHARE)


def confine(memory_bytes: int, parent_pid: int) -> None:
    """
    Bound this process for good.

    Beyond its memory an allocation fails, which becomes an outcome; without the bound the kernel
    would choose a process to kill. No crash leaves a core file on the job's disk.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return  # where others count address space, which says nothing of memory
    # Private memory that can be written, as the kernel counts it: unlike RLIMIT_AS it leaves out
    # address space that is only reserved, of which allocators and devices take much.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        memory_bytes = min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)  # the parent ended before it could take this process with it
