"""Model bundles on their way to a stage's models bucket."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import Exit, UserError
from cli.output import messages, shown_size
from contracts.keys import bundle_key
from contracts.models import bundle_model
from lambdas.common.errors import is_absent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from vision.models.base import VisionModel

BUNDLE_SUFFIXES = (".tar.gz", ".tgz")


def is_bundle_path(model: str) -> bool:
    """Whether a model is given as a file rather than by name."""
    return model.lower().endswith(BUNDLE_SUFFIXES)


def load_bundle_file(path: Path, *, threads: int | None = None) -> "VisionModel":
    """
    The model in a model.tar.gz.

    Raises:
        UserError: The file is missing or cannot be used.
    """
    from vision.models.bundle import BundleError
    from vision.models.load import load_bundle

    try:
        return load_bundle(path, threads=threads)
    except BundleError as error:
        raise UserError(
            f"{path} is no model bundle that can be used: {error}.",
            remedy="A bundle is a .tar.gz of model.onnx and model.json; see docs/models.md.",
            code=Exit.USAGE,
        ) from None


def push_bundle(path: Path, *, s3: "S3Client", bucket: str) -> tuple[str, bool]:
    """
    Put a bundle where backends find it.

    Returns:
        The name to ask for, and whether it was sent: False when it was there.

    Raises:
        UserError: The file cannot be used, so it is not sent.
    """
    from botocore.exceptions import ClientError

    model = load_bundle_file(path).identity
    key = bundle_key(model.digest)
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if not is_absent(error):
            raise
    else:
        return model.name, False
    shown = messages().status(f"Pushing {shown_size(path.stat().st_size)}")
    with shown, path.open("rb") as file:
        s3.upload_fileobj(file, bucket, key)
    return bundle_model(model.digest).name, True
