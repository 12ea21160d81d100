"""What users are told when something is not as it should be, and the exit codes scripts rely on."""

import errno
from enum import IntEnum

from cli.output import program
from contracts.outcomes import ExitCode


class Exit(IntEnum):
    """Exit codes of the `framewright` command; where containers have the same, so do these."""

    OK = ExitCode.SUCCEEDED
    USAGE = ExitCode.USAGE
    REJECTED = ExitCode.REJECTED
    UNAVAILABLE = 69
    """The stage, its credentials, a file or a job is not there: EX_UNAVAILABLE of sysexits(3)."""
    CRASHED = ExitCode.CRASHED
    DAMAGED = 74
    """A file did not arrive as it was written: EX_IOERR."""
    UNFINISHED = ExitCode.RETRYABLE
    MODEL_FAULT = ExitCode.MODEL_FAULT


EXIT_CODES = """\
Exit codes: 0 done · 64 wrong arguments · 65 a video was rejected · 69 the stage, its credentials \
or what was named is not there · 70 a fault of this program · 74 a file arrived damaged · 75 a job \
failed or has not ended · 78 the model cannot be used."""


class UserError(Exception):
    """
    Something the user can put right.

    Args:
        what: What happened and why, as sentences.
        remedy: What to do next, as a sentence.
    """

    def __init__(self, what: str, *, remedy: str, code: Exit = Exit.UNAVAILABLE) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.code = code


def explain(error: Exception) -> UserError | None:
    """What an error of AWS, the embedded cloud or the disk means; None for a fault of ours."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and error.filename is not None:
        return _explain_file(error)
    from local.config import EmbeddedCloudError

    if isinstance(error, EmbeddedCloudError):
        return UserError(str(error), remedy=f"`{program()} doctor` checks what the cloud needs.")
    return _explain_aws(error)


def _explain_file(error: OSError) -> UserError:
    remedy = "Check the path and its permissions."
    if error.errno == errno.ENOSPC:
        remedy = "Free some disk space and run the command again."
    return UserError(f"{error.filename}: {error.strerror}.", remedy=remedy)


def _explain_aws(error: Exception) -> UserError | None:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _explain_answer(error)
    if isinstance(error, exceptions.ProfileNotFound):
        return UserError(f"{error}.", remedy="Set AWS_PROFILE to one that `aws configure` lists.")
    if isinstance(error, exceptions.NoRegionError):
        return UserError(
            "No AWS region is set, so it is not known where the stage is deployed.",
            remedy="Set AWS_REGION, such as AWS_REGION=eu-central-1.",
        )
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.HTTPClientError):
        return UserError(
            f"The service cannot be reached: {error}.",
            remedy=f"For the local stage run `{program()} up`; for others check the network.",
        )
    if isinstance(error, _credential_errors()):
        return _no_credentials(f"There are no AWS credentials to use: {error}.")
    return None


_NO_QUEUE = (".NonExistentQueue", "QueueDoesNotExist")


def _credential_errors() -> tuple[type[Exception], ...]:
    from botocore import exceptions

    return (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    )


def _explain_answer(error: Exception) -> UserError:
    response = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code", "")
    text = response.get("Error", {}).get("Message", "")
    asked = getattr(error, "operation_name", "the request")
    if code in ("NoSuchBucket", "ResourceNotFoundException") or code.endswith(_NO_QUEUE):
        return UserError(
            f"The stage is not deployed here: {asked} found nothing ({text}).",
            remedy=f"Check --stage, account and region; the local stage needs `{program()} up`.",
        )
    if code.startswith(("ExpiredToken", "InvalidClientToken", "UnrecognizedClient")) or code in (
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
    ):
        return _no_credentials(f"AWS does not take the credentials: {text}.")
    if code.startswith(("AccessDenied", "Unauthorized")) or code in ("403", "Forbidden"):
        return UserError(
            f"Your credentials may not do {asked}: {text}.",
            remedy="Use a role that may read and write the stage's buckets and jobs table.",
        )
    return UserError(f"{asked} was refused: {code}: {text}.", remedy="Try again in a moment.")


def _no_credentials(what: str) -> UserError:
    return UserError(
        what,
        remedy="Sign in (`aws sso login`, AWS_PROFILE=…), or use --stage local, which needs none.",
    )
