"""Every role may do what its part does, to what it does it to, and nothing else."""

import fnmatch

import pytest

from stacks.constructs.grants import USE_OF_KEY
from tests.stacks.synthesis import (
    STAGES,
    actions,
    allowed,
    properties,
    role_statements,
    statements,
    targets,
    text,
)

ROLES = ("DispatchRole", "SettleRole", "ReconcileRole", "ReconcileScheduleRole", "Role11E5256C")
PROCESSING = "Role11E5256C"
OWN = "${AWS::AccountId}-${AWS::Region}"
S3 = "arn:${AWS::Partition}:s3:::framewright-dev"
UPLOADS, RESULTS, MODELS = (f"{S3}-{name}-{OWN}" for name in ("uploads", "results", "models"))
WILDCARDS = {
    "xray:PutTraceSegments": "X-Ray knows no resources",
    "xray:PutTelemetryRecords": "X-Ray knows no resources",
    "ecr:GetAuthorizationToken": "a token is for the whole registry",
    "cloudwatch:PutMetricData": "CloudWatch knows no resources; a condition names the namespace",
}
"""Actions that may be allowed on every resource, and why."""


def may(role: str, action: str, resource: str) -> bool:
    """Whether a role may do that, as IAM would decide it."""

    def matches(statement: dict[str, object]) -> bool:
        return any(fnmatch.fnmatchcase(action, a) for a in actions(statement)) and any(
            fnmatch.fnmatchcase(resource, target.replace("[", "[[]"))
            for target in targets(statement)
        )

    found = role_statements("dev", role)
    denied = any(matches(s) for s in found if s["Effect"] == "Deny")
    return not denied and any(matches(s) for s in found if s["Effect"] == "Allow")


@pytest.mark.parametrize("stage", STAGES)
def test_every_grant_names_its_resource(stage: str) -> None:
    for id_, policy in properties(stage, "AWS::IAM::Policy").items():
        for statement in statements(policy):
            if "*" in targets(statement):
                assert set(actions(statement)) <= set(WILDCARDS), id_


@pytest.mark.parametrize("stage", STAGES)
def test_no_grant_is_of_a_whole_service(stage: str) -> None:
    for policy in properties(stage, "AWS::IAM::Policy").values():
        for statement in statements(policy):
            assert not any(action.endswith(":*") or action == "*" for action in actions(statement))
            assert "NotAction" not in statement
            assert "NotResource" not in statement


@pytest.mark.parametrize("stage", STAGES)
def test_every_named_resource_is_of_this_stage(stage: str) -> None:
    others = [f"framewright-{other}" for other in STAGES if other != stage]
    for policy in properties(stage, "AWS::IAM::Policy").values():
        for statement in statements(policy):
            for target in targets(statement):
                assert not any(other in target for other in others)


def test_roles_have_no_policies_but_these() -> None:
    for role in properties("dev", "AWS::IAM::Role").values():
        assert set(role) <= {"AssumeRolePolicyDocument", "RoleName"}


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("DispatchRole", "s3:GetObject", f"{UPLOADS}/a/b c.mp4"),
        ("DispatchRole", "s3:GetObjectVersion", f"{UPLOADS}/a/b c.mp4"),
        ("DispatchRole", "s3:ListBucket", UPLOADS),  # or a missing object would answer 403
        ("DispatchRole", "s3:GetObject", f"{MODELS}/bundles/00/model.tar.gz"),
        ("DispatchRole", "s3:ListBucket", MODELS),
        ("DispatchRole", "s3:PutObject", f"{RESULTS}/jobs/0/attempt-1/requests.json"),
        ("SettleRole", "s3:GetObject", f"{RESULTS}/results/v.mp4/0/attempt-1/attempt.json"),
        ("SettleRole", "s3:ListBucket", RESULTS),
        ("SettleRole", "s3:PutObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        ("SettleRole", "s3:PutObjectTagging", f"{RESULTS}/results/v.mp4/0/attempt-1/attempt.json"),
        ("ReconcileRole", "s3:ListBucketVersions", UPLOADS),
        ("SettleRole", "s3:GetObject", f"{UPLOADS}/v.mp4"),
        ("SettleRole", "s3:ListBucket", UPLOADS),
        ("SettleRole", "s3:ListBucketVersions", UPLOADS),
        (PROCESSING, "s3:GetObject", f"{UPLOADS}/v.mp4"),
        (PROCESSING, "s3:GetObject", f"{RESULTS}/jobs/0/attempt-1/videos.manifest"),
        (PROCESSING, "s3:GetObject", f"{MODELS}/bundles/00/model.tar.gz"),
        (PROCESSING, "s3:PutObject", f"{RESULTS}/results/v.mp4/0/attempt-1/attempt.json"),
        (PROCESSING, "s3:PutObject", f"{RESULTS}/results/result.json/0/attempt-1/attempt.json"),
    ],
)
def test_a_role_may_do_what_its_part_does(role: str, action: str, resource: str) -> None:
    assert may(role, action, resource)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("DispatchRole", "s3:GetObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        ("DispatchRole", "s3:ListBucket", RESULTS),
        ("DispatchRole", "s3:PutObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        ("DispatchRole", "s3:PutObject", f"{UPLOADS}/v.mp4"),
        ("DispatchRole", "s3:PutObject", f"{MODELS}/bundles/00/model.tar.gz"),
        ("DispatchRole", "s3:DeleteObject", f"{UPLOADS}/v.mp4"),
        ("SettleRole", "s3:PutObject", f"{RESULTS}/results/v.mp4/0/attempt-1/attempt.json"),
        ("SettleRole", "s3:PutObject", f"{RESULTS}/results/v.mp4/0/attempt-1/detections.jsonl.gz"),
        ("SettleRole", "s3:PutObject", f"{RESULTS}/jobs/0/attempt-1/requests.json"),
        ("SettleRole", "s3:PutObjectTagging", f"{RESULTS}/results/v.mp4/0/result.json"),
        ("ReconcileRole", "s3:GetObject", f"{UPLOADS}/v.mp4"),
        ("ReconcileRole", "s3:GetObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        ("ReconcileRole", "s3:ListBucketVersions", RESULTS),
        ("SettleRole", "s3:PutObject", f"{UPLOADS}/v.mp4"),
        ("SettleRole", "s3:DeleteObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        (PROCESSING, "s3:PutObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        (PROCESSING, "s3:PutObject", f"{RESULTS}/jobs/0/attempt-1/requests.json"),
        (PROCESSING, "s3:PutObject", f"{UPLOADS}/v.mp4"),
        (PROCESSING, "s3:PutObject", f"{MODELS}/bundles/00/model.tar.gz"),
        (PROCESSING, "s3:GetObject", f"{RESULTS}/results/v.mp4/0/result.json"),
        (PROCESSING, "s3:DeleteObject", f"{RESULTS}/results/v.mp4/0/attempt-1/attempt.json"),
    ],
)
def test_a_role_may_not_do_what_another_does(role: str, action: str, resource: str) -> None:
    assert not may(role, action, resource)


def test_settle_writes_nothing_but_results_json() -> None:
    written = {r for a, r in allowed("dev", "SettleRole") if a == "s3:PutObject"}
    assert written == {f"{RESULTS}/results/*/result.json"}


@pytest.mark.parametrize("role", ["DispatchRole", "SettleRole"])
def test_the_ledger_cannot_be_scanned_or_emptied(role: str) -> None:
    found = {a for a, _ in allowed("dev", role) if a.startswith("dynamodb:")}
    settle = {"dynamodb:GetItem", "dynamodb:UpdateItem"}
    assert found == (settle | {"dynamodb:PutItem"} if role == "DispatchRole" else settle)


def test_reconcile_walks_the_ledgers_indexes_and_puts_its_bookmark_alone() -> None:
    found = role_statements("dev", "ReconcileRole")
    table = (
        "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/framewright-dev-jobs"
    )
    (walking,) = [s for s in found if "dynamodb:Query" in actions(s)]
    assert set(targets(walking)) == {
        f"{table}/index/{index}" for index in ("by-state", "by-source", "untold")
    }
    (putting,) = [s for s in found if "dynamodb:PutItem" in actions(s)]
    assert putting["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["bookmark:uploads"]}
    }


def test_reconcile_asks_and_ends_nothing() -> None:
    found = set(allowed("dev", "ReconcileRole"))
    assert not any(a.startswith(("sagemaker:", "sns:", "iam:")) for a, _ in found)
    sent = {r.strip("${}")[:7] for a, r in found if a == "sqs:SendMessage"}
    assert sent == {"Uploads", "Complet", "Reconci"}  # the last for its own dead letters
    assert not any(a == "sqs:ReceiveMessage" for a, _ in found)


def test_the_schedule_runs_reconcile_alone_and_for_this_accounts_schedules_alone() -> None:
    found = {a for a, _ in allowed("dev", "ReconcileScheduleRole") if not a.startswith("kms:")}
    assert found == {"lambda:InvokeFunction", "sqs:SendMessage"}
    (invoked,) = {r for a, r in allowed("dev", "ReconcileScheduleRole") if a.startswith("lambda:")}
    assert invoked.startswith("${Reconcile")
    (role,) = [
        role
        for role in properties("dev", "AWS::IAM::Role").values()
        if "reconcile-schedule" in text(role["RoleName"])
    ]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    equal = statement["Condition"]["StringEquals"]
    assert equal["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert text(equal["aws:SourceArn"]).endswith(":schedule-group/default")


def test_each_function_takes_from_its_own_queue_alone() -> None:
    for role, queue in (("DispatchRole", "Uploads"), ("SettleRole", "Completions")):
        read = {r for a, r in allowed("dev", role) if a == "sqs:ReceiveMessage"}
        assert [r.startswith(f"${{{queue}") for r in read] == [True]
    sent = {r.strip("${}")[:7] for a, r in allowed("dev", "SettleRole") if a == "sqs:SendMessage"}
    assert sent == {"Uploads"}


def test_dispatch_starts_jobs_of_this_stage_in_one_role_for_sagemaker_alone() -> None:
    jobs = {r for a, r in allowed("dev", "DispatchRole") if a.startswith("sagemaker:")}
    account = "${AWS::Region}:${AWS::AccountId}"
    assert jobs == {f"arn:${{AWS::Partition}}:sagemaker:{account}:processing-job/fw-dev-*"}
    (passing,) = [s for s in role_statements("dev", "DispatchRole") if "iam:PassRole" in actions(s)]
    assert targets(passing) == [
        "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/framewright-dev-processing-"
        "${AWS::Region}"
    ]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }


def test_settle_starts_nothing() -> None:
    found = {a for a, _ in allowed("dev", "SettleRole")}
    assert {a for a in found if a.startswith("sagemaker:")} == {
        "sagemaker:DescribeProcessingJob",
        "sagemaker:StopProcessingJob",
    }
    assert not any(a.startswith("iam:") for a in found)


@pytest.mark.parametrize("role", ROLES)
def test_a_grant_on_the_key_is_for_aws_resources_alone(role: str) -> None:
    found = [s for s in role_statements("dev", role) if "kms:CreateGrant" in actions(s)]
    assert len(found) == (1 if role in ("DispatchRole", PROCESSING) else 0)
    for statement in found:
        assert actions(statement) == ["kms:CreateGrant"]
        assert statement["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_uses_the_key_and_does_not_rule_it(role: str) -> None:
    used = {a for a, r in allowed("dev", role) if a.startswith("kms:")}
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= used
    assert used <= {*USE_OF_KEY, "kms:CreateGrant"}


def test_sagemaker_takes_the_processing_role_for_this_stages_jobs_alone() -> None:
    (role,) = properties("dev", "AWS::IAM::Role", "processing").values()
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    condition = statement["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    source = text(condition["ArnLike"]["aws:SourceArn"])
    assert source.endswith(":${AWS::AccountId}:processing-job/fw-dev-*")


def test_metrics_of_jobs_go_to_sagemakers_namespace_alone() -> None:
    (found,) = [
        s for s in role_statements("dev", PROCESSING) if "cloudwatch:PutMetricData" in actions(s)
    ]
    assert found["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/ProcessingJobs"}
    }
