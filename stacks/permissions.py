"""What each function of the orchestration may do: exactly its part."""

from contracts.env import BOOKMARK_ITEM, BY_SOURCE_INDEX, BY_STATE_INDEX, UNTOLD_INDEX, Names
from contracts.keys import BUNDLES_PREFIX, JOBS_PREFIX, RESULT_DOCUMENT, RESULTS_PREFIX
from contracts.pipeline import JobTemplate
from stacks.constructs.function import RoleFunction
from stacks.constructs.grants import FOR_AWS_RESOURCES, allow
from stacks.constructs.queue import WorkQueue

_ANY_UPLOAD = "Whoever uploads chooses the key, and every key may hold a video."
_ANY_JOB = "A job's id stands in the name, and is known when the video is."
_ANY_BUNDLE = "A bundle's key is its digest; which are on offer is in the stage's settings."
_WALKED = (BY_STATE_INDEX, BY_SOURCE_INDEX, UNTOLD_INDEX)


class Permissions:
    """Grants on resources of one stage, which are known by their names."""

    def __init__(self, names: Names, key_arn: str) -> None:
        self._names = names
        self._key_arn = key_arn
        self._uploads = _bucket_arn(names, names.uploads_bucket)
        self._results = _bucket_arn(names, names.results_bucket)
        self._models = _bucket_arn(names, names.models_bucket)
        self._table = names.arn("dynamodb", f"table/{names.jobs_table}")
        self._jobs = names.arn("sagemaker", f"processing-job/{names.processing_job_prefix}*")

    def permit_dispatch(self, dispatch: RoleFunction, template: JobTemplate) -> None:
        """Read uploads and bundles, write requests, enter jobs, start them."""
        role = dispatch.role
        self._permit_reading_uploads(dispatch)
        allow(role, ["s3:ListBucket"], self._models)
        allow(role, ["s3:GetObject"], f"{self._models}/{BUNDLES_PREFIX}*", because=_ANY_BUNDLE)
        allow(role, ["s3:PutObject"], f"{self._results}/{JOBS_PREFIX}*", because=_ANY_JOB)
        self._permit_ledger(dispatch, "dynamodb:PutItem")
        starting = ["sagemaker:CreateProcessingJob", "sagemaker:AddTags"]
        allow(role, starting, self._jobs, because=_ANY_JOB)
        allow(
            role,
            ["iam:PassRole"],
            template.role_arn,
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
        # SageMaker attaches the key to the job's volume in the caller's name.
        allow(role, ["kms:CreateGrant"], self._key_arn, conditions=FOR_AWS_RESOURCES)

    def permit_settle(self, settle: RoleFunction) -> None:
        """Read results and what is left of uploads, commit, tag leftovers, look at jobs."""
        role, results = settle.role, f"{self._results}/{RESULTS_PREFIX}*"
        self._permit_reading_uploads(settle)
        allow(role, ["s3:ListBucket"], self._results)
        allow(role, ["s3:GetObject"], results, because=_ANY_JOB)
        allow(role, ["s3:PutObject"], f"{results}/{RESULT_DOCUMENT}", because=_ANY_JOB)
        allow(role, ["s3:PutObjectTagging"], f"{results}/attempt-*", because=_ANY_JOB)
        self._permit_ledger(settle)
        jobs = ["sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob"]
        allow(role, jobs, self._jobs, because=_ANY_JOB)

    def permit_reconcile(self, reconcile: RoleFunction) -> None:
        """Walk the ledger and list uploads; it neither reads a video nor ends a job."""
        role = reconcile.role
        allow(role, ["s3:ListBucketVersions"], self._uploads)
        indexes = [f"{self._table}/index/{index}" for index in _WALKED]
        allow(role, ["dynamodb:Query"], *indexes)
        self._permit_ledger(reconcile)
        # Of the table's items, it puts its bookmark alone.
        bookmark = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [BOOKMARK_ITEM]}}
        allow(role, ["dynamodb:PutItem"], self._table, conditions=bookmark)

    def permit_sending(self, function: RoleFunction, *queues: WorkQueue) -> None:
        """Put messages into queues."""
        for queue in queues:
            allow(function.role, ["sqs:GetQueueUrl", "sqs:SendMessage"], queue.queue.queue_arn)

    def _permit_reading_uploads(self, function: RoleFunction) -> None:
        reading = ["s3:GetObject", "s3:GetObjectVersion"]
        allow(function.role, reading, f"{self._uploads}/*", because=_ANY_UPLOAD)
        # Without them, S3 answers 403 for a missing object or version instead of 404.
        allow(function.role, ["s3:ListBucket", "s3:ListBucketVersions"], self._uploads)

    def _permit_ledger(self, function: RoleFunction, *more: str) -> None:
        allow(function.role, ["dynamodb:GetItem", "dynamodb:UpdateItem", *more], self._table)


def _bucket_arn(names: Names, bucket: str) -> str:
    return f"arn:{names.partition}:s3:::{bucket}"
