"""What each principal must be refused, as calls that it may try."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from botocore.exceptions import ClientError

from contracts.env import Names
from contracts.keys import attempt_prefix, job_files_prefix, result_key
from local.config import ACCOUNT, REGION
from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.iam.principals import ADMINISTRATOR, FOREIGN, Principals

_JOB = "0" * 32
_SOURCE = "video.mp4"
_RESULT = result_key(_SOURCE, _JOB)
_ATTEMPT = attempt_prefix(_SOURCE, _JOB, 1) + "attempt.json"
_REQUESTS = job_files_prefix(_JOB, 1) + "requests.json"
_BUNDLE = "bundles/0/model.tar.gz"
_FOREIGN_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
_PARTS = ("dispatch", "settle", "processing")


class Boundary:
    """
    One call that a principal must not be able to make.

    Args:
        action: What is refused, as IAM names it.
        call: The service and the client's method.
        plain_http: As one whose connection is not encrypted.
        widened: As if the principal's own policy allowed all of S3.
    """

    def __init__(
        self,
        who: str,
        what: str,
        action: str,
        call: str,
        arguments: Mapping[str, Any],
        *,
        plain_http: bool = False,
        widened: bool = False,
    ) -> None:
        self.name = f"{who}: {what}"
        self._who = who
        self._action = action
        self._service, _, self._method = call.partition(".")
        self._plain_http = plain_http
        self._widened = widened
        self._arguments = arguments

    def __str__(self) -> str:
        return self.name

    def holds(self, principals: Principals) -> bool:
        """Whether the call is refused, and for that reason."""
        stage = principals.stage
        known = len(stage.refusals())
        client = principals.client(self._who, self._service, plain_http=self._plain_http)
        try:
            with principals.widened(self._who) if self._widened else nullcontext():
                getattr(client, self._method)(**self._arguments)
        except ClientError:
            refused = {line["action"] for line in stage.refusals()[known:]}
            return self._action in refused
        return False


def boundaries(stage: EnforcedStage) -> Iterator[Boundary]:
    """All of them; those of resources' own policies for each bucket, queue and topic there is."""
    names = stage.names
    for who in _PARTS:
        yield from _of_everyone(who, names)
        yield from _of_the_key(who, names, stage.key)
    yield from _of_dispatch(names)
    yield from _of_settle(names)
    yield from _of_processing(names)
    yield from _of_buckets(names)
    yield from _of_queues_and_topics(stage)
    what = "encrypt with the stage's key"
    encrypt = {"KeyId": stage.key, "KeySpec": "AES_256"}
    yield Boundary(ADMINISTRATOR, what, "kms:GenerateDataKey", "kms.generate_data_key", encrypt)


def _of_everyone(who: str, names: Names) -> Iterator[Boundary]:
    yield _put(who, names.uploads_bucket, _SOURCE)
    yield _delete(who, names.uploads_bucket, _SOURCE)
    yield _delete(who, names.results_bucket, _RESULT)
    yield _put(who, names.models_bucket, _BUNDLE)
    yield _get(who, names.access_logs_bucket, "uploads/0")
    yield _get(who, FOREIGN, "secret")
    yield _publish(who, names.arn("sns", "some-other-topic"))
    table = {"TableName": names.jobs_table}
    yield Boundary(who, "read the whole ledger", "dynamodb:Scan", "dynamodb.scan", table)
    item = table | {"Key": {"job_id": {"S": _JOB}}}
    yield Boundary(who, "forget a job", "dynamodb:DeleteItem", "dynamodb.delete_item", item)
    role = {"RoleArn": names.role_arn("processing"), "RoleSessionName": "mine"}
    yield Boundary(who, "take another role", "sts:AssumeRole", "sts.assume_role", role)
    policy = {"RoleName": names.role(who), "PolicyName": "more", "PolicyDocument": "{}"}
    yield Boundary(who, "widen its policy", "iam:PutRolePolicy", "iam.put_role_policy", policy)


def _of_the_key(who: str, names: Names, key: str) -> Iterator[Boundary]:
    policy = {"KeyId": key, "PolicyName": "default", "Policy": "{}"}
    yield Boundary(who, "rule the key", "kms:PutKeyPolicy", "kms.put_key_policy", policy)
    grant = {
        "KeyId": key,
        "GranteePrincipal": names.role_arn(who),
        "Operations": ["Decrypt"],
    }
    yield Boundary(who, "grant the key to anyone", "kms:CreateGrant", "kms.create_grant", grant)


def _of_dispatch(names: Names) -> Iterator[Boundary]:
    yield _get("dispatch", names.results_bucket, _RESULT)
    yield _put("dispatch", names.results_bucket, _RESULT)
    yield _put("dispatch", names.results_bucket, _ATTEMPT)
    yield _publish("dispatch", names.outcomes_topic_arn)
    yield _receive("dispatch", names, names.completions_queue)
    foreign = f"fw-prod-{_JOB}-a1"
    yield _start("dispatch", names, "start a job of another stage", ProcessingJobName=foreign)
    other = names.role_arn("settle")
    yield _start("dispatch", names, "start a job in another role", RoleArn=other)
    own = names.processing_job(_JOB, 1)
    yield Boundary(
        "dispatch",
        "stop a job",
        "sagemaker:StopProcessingJob",
        "sagemaker.stop_processing_job",
        {"ProcessingJobName": own},
    )


def _of_settle(names: Names) -> Iterator[Boundary]:
    yield _put("settle", names.results_bucket, _ATTEMPT)
    yield _put("settle", names.results_bucket, _REQUESTS)
    yield _get("settle", names.models_bucket, _BUNDLE)
    yield _receive("settle", names, names.uploads_queue)
    yield _start("settle", names, "start a job")


def _of_processing(names: Names) -> Iterator[Boundary]:
    yield _put("processing", names.results_bucket, _RESULT)
    yield _put("processing", names.results_bucket, _REQUESTS)
    yield _get("processing", names.results_bucket, _RESULT)
    yield _get("processing", names.results_bucket, _ATTEMPT)
    yield _publish("processing", names.outcomes_topic_arn)
    yield _receive("processing", names, names.uploads_queue)
    yield _start("processing", names, "start a job")


def _of_buckets(names: Names) -> Iterator[Boundary]:
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": _FOREIGN_KEY}
    own = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "0" * 32}
    data = (names.uploads_bucket, names.results_bucket, names.models_bucket)
    for bucket in (*data, names.access_logs_bucket):
        what = f"list {bucket} over plain HTTP"
        yield Boundary(
            ADMINISTRATOR,
            what,
            "s3:ListBucket",
            "s3.list_objects_v2",
            {"Bucket": bucket},
            plain_http=True,
        )
    for bucket in data:
        for who in _PARTS:
            yield Boundary(
                who,
                f"delete in {bucket} with a policy that allows it",
                "s3:DeleteObject",
                "s3.delete_object",
                {"Bucket": bucket, "Key": "mine"},
                widened=True,
            )
        for what, options in {
            "a foreign key": kms,
            "a key that only its sender has": own,
            "S3's own key": {"ServerSideEncryption": "AES256"},
        }.items():
            yield Boundary(
                ADMINISTRATOR,
                f"write to {bucket} under {what}",
                "s3:PutObject",
                "s3.put_object",
                {"Bucket": bucket, "Key": "foreign", "Body": b"x", **options},
            )


def _of_queues_and_topics(stage: EnforcedStage) -> Iterator[Boundary]:
    for url in stage.sqs.list_queues(QueueNamePrefix=stage.names.prefix)["QueueUrls"]:
        yield Boundary(
            ADMINISTRATOR,
            f"ask {url.rpartition('/')[2]} over plain HTTP",
            "sqs:GetQueueAttributes",
            "sqs.get_queue_attributes",
            {"QueueUrl": url, "AttributeNames": ["QueueArn"]},
            plain_http=True,
        )
    for topic in stage.sns.list_topics()["Topics"]:
        arn = topic["TopicArn"]
        yield Boundary(
            ADMINISTRATOR,
            f"publish to {arn.rpartition(':')[2]} over plain HTTP",
            "sns:Publish",
            "sns.publish",
            {"TopicArn": arn, "Message": "x"},
            plain_http=True,
        )


def _put(who: str, bucket: str, key: str) -> Boundary:
    place = {"Bucket": bucket, "Key": key, "Body": b"x"}
    return Boundary(who, f"write {key} of {bucket}", "s3:PutObject", "s3.put_object", place)


def _get(who: str, bucket: str, key: str) -> Boundary:
    place = {"Bucket": bucket, "Key": key}
    return Boundary(who, f"read {key} of {bucket}", "s3:GetObject", "s3.get_object", place)


def _delete(who: str, bucket: str, key: str) -> Boundary:
    place = {"Bucket": bucket, "Key": key}
    what = f"delete {key} of {bucket}"
    return Boundary(who, what, "s3:DeleteObject", "s3.delete_object", place)


def _publish(who: str, arn: str) -> Boundary:
    what = f"publish to {arn.rpartition(':')[2]}"
    return Boundary(who, what, "sns:Publish", "sns.publish", {"TopicArn": arn, "Message": "x"})


def _receive(who: str, names: Names, queue: str) -> Boundary:
    url = f"https://127.0.0.1/{names.account}/{queue}"
    what = f"take messages of {queue}"
    return Boundary(who, what, "sqs:ReceiveMessage", "sqs.receive_message", {"QueueUrl": url})


def _start(who: str, names: Names, what: str, **changes: Any) -> Boundary:
    action = "iam:PassRole" if "RoleArn" in changes else "sagemaker:CreateProcessingJob"
    cluster = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    request = {
        "ProcessingJobName": names.processing_job(_JOB, 1),
        "RoleArn": names.role_arn("processing"),
        "AppSpecification": {"ImageUri": "image"},
        "ProcessingResources": {"ClusterConfig": cluster},
    }
    return Boundary(who, what, action, "sagemaker.create_processing_job", request | changes)
