"""`python -m tests.e2e.soak`: a burst to an embedded cloud of its own."""

import argparse
import sys
import tempfile
from pathlib import Path

from local.cloud import EmbeddedCloud
from local.config import CloudConfig
from tests.e2e.soak.burst import upload_burst
from tests.e2e.soak.report import grown, show


def main() -> int:
    """Run a burst; 1 where a job was lost or doubled, or a process grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.soak", description=__doc__)
    parser.add_argument("--uploads", type=int, default=1000)
    uploads: int = parser.parse_args().uploads
    with tempfile.TemporaryDirectory(prefix="framewright-soak-") as folder:
        cloud = EmbeddedCloud(CloudConfig(root=Path(folder), port=0, sagemaker_port=0))
        cloud.up(_progress)
        try:
            burst = upload_burst(cloud, uploads=uploads, prefix="soak", show=_progress)
        finally:
            cloud.down()
    show(burst)
    faults = grown(burst)
    for fault in faults:
        print(fault)  # noqa: T201
    good = burst.is_good and not faults
    print("none lost, none doubled, no memory lost" if good else "NOT as it should be")  # noqa: T201
    return 0 if good else 1


def _progress(line: str) -> None:
    end = "" if sys.stderr.isatty() else "\n"
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{start}{line}", end=end, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
