"""The checks of synthesis: nothing open, every exception with its reason, every rule awake."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from stacks.checks import add_checks, findings
from stacks.constructs.grants import allow
from stacks.rules import RULES, Rule, Template
from tests.stacks.synthesis import STAGES, assembly

TRUST: dict[str, Any] = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        }
    ]
}
Bad = Callable[[cdk.Stack], object]


def report(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "validation-report.json").read_text())[
        "pluginReports"
    ]
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_no_finding_is_open(stage: str) -> None:
    reports = report(assembly(stage))
    assert {plugin["pluginName"] for plugin in reports} >= {"AwsSolutions"}
    for plugin in reports:
        assert plugin["conclusion"] == "success"
        assert plugin["violations"] == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_exception_says_why_in_a_sentence(stage: str) -> None:
    accepted = [
        finding for plugin in report(assembly(stage)) for finding in plugin["suppressedViolations"]
    ]
    assert accepted
    for finding in accepted:
        reason = finding["reason"]
        assert len(reason.split()) >= 5, finding["acknowledgedId"]
        assert reason.endswith(".")


def test_exceptions_are_wildcards_sagemakers_log_group_and_a_dead_letter_queue() -> None:
    accepted = {
        finding["acknowledgedId"].partition("[")[0]
        for plugin in report(assembly("prod"))
        for finding in plugin["suppressedViolations"]
    }
    assert accepted == {
        "AwsSolutions::AwsSolutions-IAM5",
        "AwsSolutions::AwsSolutions-SQS3",  # of what is not a queue's own dead-letter queue
        "Framewright::key",
    }


def function(stack: cdk.Stack, **more: Any) -> lambda_.CfnFunction:
    return lambda_.CfnFunction(
        stack,
        "Bad",
        role="arn:aws:iam::123456789012:role/r",
        code=lambda_.CfnFunction.CodeProperty(zip_file="x"),
        **more,
    )


def endpoint(stack: cdk.Stack, **more: Any) -> sagemaker.CfnEndpointConfig:
    variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        model_name="m", variant_name="v", initial_variant_weight=1
    )
    return sagemaker.CfnEndpointConfig(stack, "Bad", production_variants=[variant], **more)


def answers(stack: cdk.Stack) -> sagemaker.CfnEndpointConfig:
    kind = sagemaker.CfnEndpointConfig
    output = kind.AsyncInferenceOutputConfigProperty(s3_output_path="s3://b/")
    config = kind.AsyncInferenceConfigProperty(output_config=output)
    return endpoint(stack, kms_key_id="k", async_inference_config=config)


def job_form(stack: cdk.Stack, form: dict[str, str]) -> lambda_.CfnFunction:
    variables = {"FRAMEWRIGHT_JOB_TEMPLATE": stack.to_json_string(form)}
    environment = lambda_.CfnFunction.EnvironmentProperty(variables=variables)
    return function(stack, kms_key_arn="k", environment=environment)


def open_bucket(stack: cdk.Stack, *, action: str, principal: iam.IPrincipal) -> None:
    bucket = s3.Bucket(stack, "Bucket", enforce_ssl=True, minimum_tls_version=1.2)
    statement = iam.PolicyStatement(
        actions=[action], principals=[principal], resources=[bucket.arn_for_objects("*")]
    )
    bucket.add_to_resource_policy(statement)


def schedule(stack: cdk.Stack) -> scheduler.CfnSchedule:
    return scheduler.CfnSchedule(
        stack,
        "Bad",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        schedule_expression="rate(5 minutes)",
        target=scheduler.CfnSchedule.TargetProperty(arn="a", role_arn="r"),
    )


def rule(stack: cdk.Stack) -> events.Rule:
    queue = sqs.Queue.from_queue_arn(stack, "Q", "arn:aws:sqs:eu-west-1:123456789012:q")
    pattern = events.EventPattern(source=["aws.s3"])
    return events.Rule(stack, "Bad", event_pattern=pattern, targets=[targets.SqsQueue(queue)])


def role(stack: cdk.Stack, service: str, **more: Any) -> iam.Role:
    return iam.Role(stack, "Bad", assumed_by=iam.ServicePrincipal(service), **more)


ACCOUNT = iam.AccountPrincipal("123456789012")
BAD: dict[str, tuple[str, Bad]] = {
    "a role without a name": ("role-name", lambda s: role(s, "lambda.amazonaws.com")),
    "a role that sagemaker takes for anybody": (
        "confused-deputy",
        lambda s: role(s, "sagemaker.amazonaws.com", role_name="r"),
    ),
    "a role that sagemaker takes for any job of the account": (
        "confused-deputy",
        lambda s: iam.CfnRole(s, "Bad", role_name="r", assume_role_policy_document=TRUST),
    ),
    "a role that the scheduler takes for anybody": (
        "confused-deputy",
        lambda s: role(s, "scheduler.amazonaws.com", role_name="r"),
    ),
    "a bucket for everybody": (
        "open-policy",
        lambda s: open_bucket(s, action="s3:GetObject", principal=iam.StarPrincipal()),
    ),
    "a bucket to do anything with": (
        "open-policy",
        lambda s: open_bucket(s, action="s3:*", principal=ACCOUNT),
    ),
    "a key for the whole account": ("open-policy", lambda s: kms.Key(s, "Bad")),
    "a bucket without TLS": ("tls", lambda s: s3.CfnBucket(s, "Bad")),
    "a bucket with old TLS": ("tls", lambda s: s3.Bucket(s, "Bad", enforce_ssl=True)),
    "a queue without TLS": ("tls", lambda s: sqs.Queue(s, "Bad")),
    "a topic without TLS": ("tls", lambda s: sns.Topic(s, "Bad")),
    "a queue without dead letters": (
        "dead-letters",
        lambda s: sqs.Queue(s, "Bad", enforce_ssl=True),
    ),
    "a rule without dead letters": ("dead-letters", rule),
    "a schedule without dead letters": ("dead-letters", schedule),
    "a function without dead letters": ("dead-letters", lambda s: function(s, kms_key_arn="k")),
    "a queue without a key": ("key", lambda s: sqs.Queue(s, "Bad", enforce_ssl=True)),
    "a topic without a key": ("key", lambda s: sns.Topic(s, "Bad", enforce_ssl=True)),
    "a function without a key": ("key", function),
    "a log group without a key": ("key", lambda s: logs.LogGroup(s, "Bad")),
    "a log group without an end": ("retention", lambda s: logs.CfnLogGroup(s, "Bad")),
    "an endpoint without a key": ("key", endpoint),
    "answers without a key": ("key", answers),
    "a job form without a key": ("key", lambda s: job_form(s, {"image_uri": "i"})),
    "a job form with no key in it": ("key", lambda s: job_form(s, {"kms_key_arn": ""})),
    "a model with a network": (
        "network",
        lambda s: sagemaker.CfnModel(s, "Bad", execution_role_arn="r"),
    ),
}


@pytest.fixture(scope="module")
def broken() -> dict[str, dict[str, Any]]:
    """The template of each bad construct."""
    app = cdk.App()
    stacks = {case: cdk.Stack(app, f"Stack{number}") for number, case in enumerate(BAD)}
    for case, (_, make) in BAD.items():
        make(stacks[case])
    made = app.synth()
    return {case: made.get_stack_by_name(s.stack_name).template for case, s in stacks.items()}


@pytest.mark.parametrize("case", BAD)
def test_a_rule_catches(case: str, broken: dict[str, dict[str, Any]]) -> None:
    caught = [finding for finding in findings(broken[case]) if finding.rule == BAD[case][0]]
    assert caught
    assert all(finding.fault.endswith(".") and finding.remedy for finding in caught)


@pytest.mark.parametrize("rule_", RULES, ids=lambda found: str(found.__name__))
def test_every_rule_catches_something(rule_: Rule, broken: dict[str, dict[str, Any]]) -> None:
    assert any(list(rule_(Template(made["Resources"]))) for made in broken.values())


def test_synthesis_fails_and_names_the_construct_and_the_remedy(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    add_checks(app)
    sqs.Queue(cdk.Stack(app, "Stack"), "Letters", enforce_ssl=True)
    with pytest.raises(RuntimeError) as caught:
        app.synth()
    message = str(caught.value)
    assert "ERROR What the queue's consumer cannot do is tried until it expires" in message
    assert "Stack/Letters/Resource" in message
    assert "Suggested fix: Make it a WorkQueue, which has a dead-letter queue." in message
    assert "AwsSolutions-SQS3" in message


def test_a_grant_with_a_wildcard_needs_a_reason() -> None:
    stack = cdk.Stack(cdk.App(), "Stack")
    made = role(stack, "lambda.amazonaws.com", role_name="r")
    with pytest.raises(ValueError, match=r"Stack/Bad: Action::s3:Get\* is a wildcard; name what"):
        allow(made, ["s3:Get*"], "arn:aws:s3:::bucket")
    with pytest.raises(ValueError, match=r"Resource::arn:<AWS::Partition>:s3:::b/\* is a wildcard"):
        allow(made, ["s3:GetObject"], f"arn:{cdk.Aws.PARTITION}:s3:::b/*")
