"""What is stored is encrypted, private, kept where it must be, and reached over TLS alone."""

from typing import Any

import pytest

from tests.stacks.synthesis import (
    actions,
    properties,
    resources,
    statements,
    targets,
    template,
    text,
)

BUCKETS = properties("dev", "AWS::S3::Bucket")
DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key")


def name_of(bucket: dict[str, Any]) -> str:
    return text(bucket["BucketName"])


def bucket(purpose: str) -> dict[str, Any]:
    (found,) = [b for b in BUCKETS.values() if f"framewright-dev-{purpose}-" in name_of(b)]
    return found


def test_the_buckets_are_those_that_the_names_say() -> None:
    own = "${AWS::AccountId}-${AWS::Region}"
    assert {name_of(b) for b in BUCKETS.values()} == {
        f"framewright-dev-{purpose}-{own}"
        for purpose in ("uploads", "results", "models", "access-logs")
    }


@pytest.mark.parametrize("id_", BUCKETS)
def test_no_bucket_can_be_made_public(id_: str) -> None:
    assert BUCKETS[id_]["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    (rule,) = BUCKETS[id_]["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"


@pytest.mark.parametrize("id_", BUCKETS)
def test_no_bucket_is_reached_without_tls(id_: str) -> None:
    reference = {"Ref": id_.partition("/")[2]}
    policies = properties("dev", "AWS::S3::BucketPolicy").values()
    (policy,) = [p for p in policies if p["Bucket"] == reference]
    denied = [s for s in statements(policy) if s["Action"] == "s3:*"]
    assert [s["Condition"] for s in denied] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": 1.2}},
    ]
    for statement in denied:
        assert statement["Effect"] == "Deny"
        assert statement["Principal"] in ("*", {"AWS": "*"})
        assert len(targets(statement)) == 2


@pytest.mark.parametrize("purpose", ["uploads", "results", "models"])
def test_no_role_of_the_stage_deletes_whatever_it_is_allowed(purpose: str) -> None:
    policies = properties("dev", "AWS::S3::BucketPolicy").values()
    (policy,) = [p for p in policies if f"{purpose.capitalize()}" in str(p["Bucket"])]
    (denied,) = [s for s in statements(policy) if "s3:DeleteObject" in actions(s)]
    assert denied["Effect"] == "Deny"
    assert actions(denied) == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    (roles,) = denied["Condition"]["ArnLike"].values()
    assert text(roles).endswith(":role/framewright-dev-*-${AWS::Region}")


@pytest.mark.parametrize("purpose", ["uploads", "results", "models"])
def test_data_are_versioned_encrypted_with_the_stages_key_and_their_access_is_logged(
    purpose: str,
) -> None:
    found = bucket(purpose)
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = found["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert "KeyE447D366" in text(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
    assert rule["BucketKeyEnabled"] is True
    assert found["LoggingConfiguration"]["LogFilePrefix"] == f"{purpose}/"


@pytest.mark.parametrize("purpose", ["uploads", "results", "models"])
def test_nothing_is_stored_under_a_key_that_the_stages_roles_cannot_use(purpose: str) -> None:
    policies = properties("dev", "AWS::S3::BucketPolicy").values()
    (policy,) = [p for p in policies if f"{purpose.capitalize()}" in str(p["Bucket"])]
    denied = [s for s in statements(policy) if s["Action"] == "s3:PutObject"]
    assert [s["Effect"] for s in denied] == ["Deny", "Deny", "Deny"]
    assert [s["Condition"]["Null"] for s in denied] == [
        {"s3:x-amz-server-side-encryption-customer-algorithm": "false"},
        {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"},
        {
            "s3:x-amz-server-side-encryption": "false",
            "s3:x-amz-server-side-encryption-aws-kms-key-id": "true",
        },
    ]
    (named,) = denied[1]["Condition"]["StringNotEquals"].values()
    assert "KeyE447D366" in text(named)


def test_access_logs_are_encrypted_as_log_delivery_can() -> None:
    (rule,) = bucket("access-logs")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert "LoggingConfiguration" not in bucket("access-logs")


@pytest.mark.parametrize("purpose", ["uploads", "results"])
def test_what_arrives_is_told_to_eventbridge(purpose: str) -> None:
    told = bucket(purpose)["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert told == {"EventBridgeEnabled": True}
    assert properties("dev", "Custom::S3BucketNotifications") == {}


@pytest.mark.parametrize("purpose", ["uploads", "results", "models"])
def test_unfinished_uploads_and_old_versions_do_not_pile_up(purpose: str) -> None:
    rules = {rule["Id"]: rule for rule in bucket(purpose)["LifecycleConfiguration"]["Rules"]}
    assert rules["abort-unfinished-uploads"]["AbortIncompleteMultipartUpload"]
    assert rules["expire-noncurrent-versions"]["NoncurrentVersionExpiration"]
    expiring = [
        (rule.get("Prefix"), rule.get("TagFilters"))
        for rule in rules.values()
        if "ExpirationInDays" in rule
    ]
    leftovers = [{"Key": "framewright:leftover", "Value": "true"}]
    assert expiring == ([("jobs/", None), (None, leftovers)] if purpose == "results" else [])


@pytest.mark.parametrize("kind", DATA)
def test_prod_keeps_its_data_and_dev_lets_them_go(kind: str) -> None:
    for stage, policy in (("prod", "Retain"), ("dev", "Delete")):
        found = resources(stage, kind)
        assert found
        for resource in found.values():
            assert resource["DeletionPolicy"] == policy
            assert resource["UpdateReplacePolicy"] == policy


@pytest.mark.parametrize(("stage", "protected"), [("prod", True), ("dev", False)])
def test_the_ledger_is_encrypted_recoverable_and_found_by_state_and_source(
    stage: str, protected: bool
) -> None:
    (table,) = properties(stage, "AWS::DynamoDB::Table").values()
    assert table["TableName"] == f"framewright-{stage}-jobs"
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert "KeyE447D366" in text(table["SSESpecification"]["KMSMasterKeyId"])
    recovery = table["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is protected
    assert table["KeySchema"] == [{"AttributeName": "job_id", "KeyType": "HASH"}]
    indexes = {
        index["IndexName"]: [part["AttributeName"] for part in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }
    assert indexes == {
        "by-state": ["state_shard", "updated_at"],
        "by-source": ["source_uri", "source_version"],
        "untold": ["untold_shard", "updated_at"],
    }


def test_the_key_turns_over() -> None:
    (key,) = properties("dev", "AWS::KMS::Key").values()
    assert key["EnableKeyRotation"] is True


def test_storage_depends_on_no_other_stack() -> None:
    assert "Fn::ImportValue" not in str(template("dev", "storage"))
