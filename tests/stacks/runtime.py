"""What a function finds in Lambda besides its own asset."""

from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTIONS = (
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
)
"""boto3 and all that it needs: what Lambda's Python runtime brings."""


def lambda_runtime(folder: Path) -> Path:
    """Fill an empty folder with links to what Lambda's runtime holds, and no more."""
    for name in DISTRIBUTIONS:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if ".dist-info" in top or top == ".." or (folder / top).exists():
                continue
            installed = Path(str(file.locate()))
            (folder / top).symlink_to(installed.parents[len(file.parts) - 1] / top)
    return folder
