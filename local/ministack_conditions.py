"""
Where MiniStack decides otherwise than IAM does; runs inside MiniStack when it enforces IAM.

* A condition on `aws:PrincipalArn` compares the role, not the session of it.
  https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
* A bucket's policy may speak of the key that a request names.
  https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
* Its CloudFormation forgets the keys of buckets, of topics and of global tables.
* S3 tells only those who may list a bucket that an object is missing; others hear 403.
  https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from collections.abc import Callable
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_actions  # type: ignore[import-not-found]
from ministack.core import iam_evaluator as iam
from ministack.core.responses import get_region  # type: ignore[import-not-found]
from ministack.services import dynamodb, s3, sns  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

from local.ministack_iam import iam_roles

_ENCRYPTION_HEADERS = (
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
)

_resolve_condition_key = iam._resolve_condition_key
_serve_s3 = app.SERVICE_HANDLERS["s3"]
_s3_context = iam_actions.s3_service_context


def install() -> None:
    """Put the corrections into MiniStack."""
    iam._resolve_condition_key = resolve_condition_key
    iam_actions.s3_service_context = s3_context
    app.SERVICE_HANDLERS["s3"] = serve_s3
    for kind, note in {
        "S3::Bucket": note_bucket_key,
        "SNS::Topic": note_topic_key,
        "DynamoDB::GlobalTable": note_table_key,
    }.items():
        handlers = provisioners._RESOURCE_HANDLERS[f"AWS::{kind}"]
        handlers["create"] = _noting(handlers["create"], note)


def _noting(create: Callable[..., Any], note: Callable[[Any, str], None]) -> Callable[..., Any]:
    def created(logical_id: str, properties: Any, stack: str) -> Any:
        made = create(logical_id, properties, stack)
        note(properties, made[0])
        return made

    return created


def note_bucket_key(properties: Any, name: str) -> None:
    """Give a new bucket the key that its template names."""
    for rule in properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
        default = rule.get("ServerSideEncryptionByDefault", {})
        if key := default.get("KMSMasterKeyID"):
            s3._bucket_encryption[name] = (
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
                f"<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{key}</KMSMasterKeyID>"
                "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
            )


def note_topic_key(properties: Any, arn: str) -> None:
    """Give a new topic the key that its template names."""
    if key := properties.get("KmsMasterKeyId"):
        sns._topics[arn]["attributes"]["KmsMasterKeyId"] = key


def note_table_key(properties: Any, name: str) -> None:
    """Give a new global table the key that its template names for the replica here."""
    for replica in properties.get("Replicas", []):
        if key := replica.get("SSESpecification", {}).get("KMSMasterKeyId"):
            encryption = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
            dynamodb._tables[name]["SSEDescription"] = encryption


def resolve_condition_key(key: str, context: Any) -> Any:
    """A condition key's value; of a session, `aws:PrincipalArn` is its role."""
    value = _resolve_condition_key(key, context)
    if key.lower() == "aws:principalarn" and ":assumed-role/" in value:
        role = iam_roles().get(value.split("/")[1])
        return role["Arn"] if role else value
    return value


def s3_context(action: str, query: Any, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """The keys of a request's conditions, those among them that say how it is to be encrypted."""
    found: dict[str, Any] = _s3_context(action, query, path, headers)
    if action == "s3:PutObject":
        for name in _ENCRYPTION_HEADERS:
            if name in headers:
                found[f"s3:{name}"] = headers[name]
    return found


async def serve_s3(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Any:
    """S3, which tells nobody that an object is missing who may not list its bucket."""
    answer = await _serve_s3(method, path, headers, body, query)
    bucket, _, key = path.strip("/").partition("/")
    if answer[0] != 404 or method not in ("GET", "HEAD") or not key:
        return answer
    access_key = app.extract_access_key_id(headers, query)
    arn = f"arn:aws:s3:::{bucket}"
    if iam.enforce(access_key, "s3:ListBucket", "s3", get_region(), arn) is None:
        return answer
    text = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return 403, {"Content-Type": "application/xml"}, b"" if method == "HEAD" else text
