"""The key's policy names its users: it is evaluated here as KMS would."""

import fnmatch
from typing import Any

import aws_cdk as cdk
import pytest

from contracts.env import Names
from stacks.constructs.key import ADMINISTRATION, ROLES, StageKey
from stacks.settings import AccessSettings
from tests.stacks.synthesis import STAGES, actions, many, properties, statements, targets, text

ACCOUNT, REGION = "123456789012", "eu-west-1"
NAMES = Names("prod", ACCOUNT, REGION)
PEOPLE = AccessSettings(
    deployers=("role/cdk-*-cfn-exec-role-*",),
    operators=("role/operators",),
    uploaders=("user/camera",),
    readers=("role/aws-reserved/*/Analysts_*",),
)
NOBODY = AccessSettings(deployers=(), operators=(), uploaders=(), readers=())
USE = ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom")
Facts = dict[str, str]


def policy_of(access: AccessSettings) -> list[dict[str, Any]]:
    """The key's policy in prod, in an account and region."""
    app = cdk.App()
    stack = cdk.Stack(app, "Stack", env=cdk.Environment(account=ACCOUNT, region=REGION))
    StageKey(stack, "Key", names=NAMES, access=access, keep=True)
    made = app.synth().get_stack_by_name("Stack").template["Resources"].values()
    (key,) = [resource for resource in made if resource["Type"] == "AWS::KMS::Key"]
    found: list[dict[str, Any]] = key["Properties"]["KeyPolicy"]["Statement"]
    return found


POLICY = policy_of(PEOPLE)


def may(action: str, facts: Facts, policy: list[dict[str, Any]] = POLICY) -> bool:
    """Whether the policy lets a request with these facts do that."""
    return any(
        action in actions(statement)
        and _is_by(statement["Principal"], facts)
        and all(
            key in facts and _holds(operator, facts[key], many(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
        for statement in policy
    )


def _is_by(principal: dict[str, Any], facts: Facts) -> bool:
    if "Service" in principal:
        return _plain(principal["Service"]) == facts.get("service")
    root = f"arn:aws:iam::{facts.get('account', ACCOUNT)}:root"
    return "service" not in facts and _plain(principal["AWS"]) == root


def _holds(operator: str, actual: str, wanted: list[Any]) -> bool:
    matches = fnmatch.fnmatchcase if operator.endswith("Like") else str.__eq__
    assert operator in ("ArnLike", "StringLike", "StringEquals", "Bool")
    return any(matches(actual, _plain(value)) for value in wanted)


def _plain(value: Any) -> str:
    filled = {"Partition": "aws", "URLSuffix": "amazonaws.com", "AccountId": ACCOUNT}
    shown = text(value)
    for name, actual in filled.items():
        shown = shown.replace(f"${{AWS::{name}}}", actual)
    return shown


def by(principal: str, service: str = "s3", **more: str) -> Facts:
    """A request of a principal of the account that comes by a service."""
    arn = f"arn:aws:iam::{ACCOUNT}:{principal}"
    return {
        "aws:PrincipalArn": arn,
        "kms:ViaService": f"{service}.{REGION}.amazonaws.com",
        "kms:GrantIsForAWSResource": "false",
        **{name.replace("__", ":"): value for name, value in more.items()},
    }


def objects(bucket: str) -> Facts:
    return {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}


@pytest.mark.parametrize("action", [*USE, "kms:CreateGrant"])
@pytest.mark.parametrize("principal", ["role/Admin", "user/root", "root", "role/operator"])
def test_being_of_the_account_is_not_enough_to_use_the_key(action: str, principal: str) -> None:
    facts = by(principal) | objects(NAMES.results_bucket)
    assert not may(action, facts | {"kms:GrantIsForAWSResource": "true"})


def test_the_account_can_administer_and_delete_the_key() -> None:
    for action in ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DescribeKey"):
        assert may(action, by("role/Admin"))
    assert not {*USE, "kms:CreateGrant"} & set(ADMINISTRATION)


@pytest.mark.parametrize("part", ROLES)
def test_the_roles_of_the_stage_use_the_key_and_others_like_them_do_not(part: str) -> None:
    assert all(may(action, by(f"role/{NAMES.role(part)}")) for action in USE)
    for other in (f"framewright-dev-{part}-{REGION}", f"{NAMES.role(part)}-2", f"a/{part}"):
        assert not may("kms:Decrypt", by(f"role/{other}"))
    foreign = {"aws:PrincipalArn": f"arn:aws:iam::999999999999:role/{NAMES.role(part)}"}
    assert not may("kms:Decrypt", {**foreign, "account": "999999999999"})


@pytest.mark.parametrize(
    ("part", "expected"), [("dispatch", True), ("processing", True), ("settle", False)]
)
def test_grants_on_the_key_are_for_volumes_of_jobs_alone(part: str, expected: bool) -> None:
    role = by(f"role/{NAMES.role(part)}", "sagemaker")
    assert may("kms:CreateGrant", role | {"kms:GrantIsForAWSResource": "true"}) is expected
    assert not may("kms:CreateGrant", role)


def test_deployments_use_the_key_through_what_they_make() -> None:
    role = f"role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
    for service in ("dynamodb", "lambda"):
        assert may("kms:Encrypt", by(role, service))
        assert may("kms:CreateGrant", by(role, service, kms__GrantIsForAWSResource="true"))
    assert not may("kms:Decrypt", by(role, "s3") | objects(NAMES.results_bucket))


def test_operators_use_the_key_through_buckets_queues_and_the_ledger_alone() -> None:
    for service in ("s3", "sqs", "dynamodb"):
        assert may("kms:Decrypt", by("role/operators", service))
    assert not may("kms:Decrypt", by("role/operators", "lambda"))
    direct = by("role/operators")
    del direct["kms:ViaService"]
    assert not may("kms:Decrypt", direct)


def test_uploaders_write_uploads_and_read_no_result() -> None:
    camera = by("user/camera")
    assert may("kms:GenerateDataKey", camera | objects(NAMES.uploads_bucket))
    assert may("kms:Decrypt", camera | objects(f"{NAMES.uploads_bucket}/a.mp4"))
    for bucket in (NAMES.results_bucket, NAMES.models_bucket):
        assert not may("kms:Decrypt", camera | objects(bucket))
        assert not may("kms:GenerateDataKey", camera | objects(bucket))


def test_readers_read_and_write_nothing() -> None:
    analyst = by(f"role/aws-reserved/sso.amazonaws.com/{REGION}/Analysts_1")
    for bucket in (NAMES.uploads_bucket, NAMES.results_bucket):
        assert may("kms:Decrypt", analyst | objects(bucket))
        assert not may("kms:GenerateDataKey", analyst | objects(bucket))
    assert not may("kms:Decrypt", analyst | objects(NAMES.models_bucket))


def test_nobody_named_is_nobody_let_in() -> None:
    principals = ("role/operators", "user/camera", "role/cdk-x-cfn-exec-role-y", "role/anyone")
    closed = policy_of(NOBODY)
    for principal in principals:
        facts = by(principal) | objects(NAMES.uploads_bucket)
        assert not any(may(action, facts, closed) for action in USE)
    assert may("kms:Decrypt", by(f"role/{NAMES.role('settle')}"), closed)


@pytest.mark.parametrize(
    ("service", "right"),
    [
        ("events", {"aws:SourceAccount": ACCOUNT}),
        (
            "cloudwatch",
            {
                "aws:SourceAccount": ACCOUNT,
                "aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:framewright-prod-x",
            },
        ),
        (
            f"logs.{REGION}",
            {
                "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
                "/aws/lambda/framewright-prod-settle"
            },
        ),
    ],
)
def test_services_act_for_this_account_and_stage_alone(service: str, right: Facts) -> None:
    facts = {"service": f"{service}.amazonaws.com"}
    assert may("kms:GenerateDataKey", facts | right)
    assert not may("kms:GenerateDataKey", facts)
    for key, value in right.items():
        foreign = value.replace(ACCOUNT, "999999999999")
        assert not may("kms:GenerateDataKey", facts | right | {key: foreign})


@pytest.mark.parametrize("stage", STAGES)
def test_those_who_may_use_the_key_by_their_own_policies_are_those_that_the_keys_names(
    stage: str,
) -> None:
    named = {f"framewright-{stage}-{part}-${{AWS::Region}}" for part in ROLES}
    roles = properties(stage, "AWS::IAM::Role")
    using = {
        text(roles[f"{stack}/{reference['Ref']}"]["RoleName"])
        for id_, policy in properties(stage, "AWS::IAM::Policy").items()
        for stack in [id_.partition("/")[0]]
        for reference in policy["Roles"]
        if any(
            action.startswith("kms:") and targets(statement)
            for statement in statements(policy)
            for action in actions(statement)
        )
    }
    assert using == named


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_where_it_matters_nobody_is_let_in_by_default(stage: str) -> None:
    (key,) = properties(stage, "AWS::KMS::Key").values()
    people = {s["Sid"] for s in key["KeyPolicy"]["Statement"]}
    assert not people & {"OperatorsUse", "UploadersWrite", "ReadersRead"}


def test_principals_are_roles_and_users_of_the_account() -> None:
    for wrong in ("arn:aws:iam::1:role/x", "*", "role/", "root"):
        with pytest.raises(ValueError, match="access names principals of the account"):
            AccessSettings(deployers=(), operators=(wrong,), uploaders=(), readers=())
