"""
The cores there are.

Decoders and the model share them: each has threads for all, and whichever waits for the other
leaves them free. Dividing them would leave some idle wherever the two are not equally slow; models
must only not spin while they wait.
"""

import os
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """Cores by affinity, or fewer where the container is given less of them, rounded up."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    try:
        quota, period = _CGROUP_LIMIT.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    if not quota.isdecimal():
        return cores
    return max(1, min(cores, -(-int(quota) // int(period))))
