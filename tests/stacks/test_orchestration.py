"""Queues that lose nothing, functions that do what their queue brings, a topic that tells."""

import json
from typing import Any

import pytest

from contracts.documents import from_json
from contracts.pipeline import PipelineSettings
from stacks.settings import load_settings
from tests.stacks.synthesis import STAGES, properties, statements, template, text

QUEUES = properties("dev", "AWS::SQS::Queue")
FUNCTIONS = properties("dev", "AWS::Lambda::Function")
RULES = properties("dev", "AWS::Events::Rule")


def id_in(reference: Any) -> str:
    """`orchestration/<logical id>` of what a property refers to."""
    return "orchestration/" + text(reference).strip("${}").removesuffix(".Arn")


def name_of(reference: Any) -> str:
    return str(QUEUES[id_in(reference)]["QueueName"])


def function(role: str) -> dict[str, Any]:
    (found,) = [f for f in FUNCTIONS.values() if f["FunctionName"] == f"framewright-dev-{role}"]
    return found


def mapping(role: str) -> dict[str, Any]:
    found = properties("dev", "AWS::Lambda::EventSourceMapping").values()
    (one,) = [m for m in found if FUNCTIONS[id_in(m["FunctionName"])] is function(role)]
    return one


@pytest.mark.parametrize("id_", QUEUES)
def test_every_queue_is_encrypted_and_takes_tls_alone(id_: str) -> None:
    assert "import framewright-dev-storage" in text(QUEUES[id_]["KmsMasterKeyId"])
    reference = {"Ref": id_.partition("/")[2]}
    (policy,) = [
        p for p in properties("dev", "AWS::SQS::QueuePolicy").values() if reference in p["Queues"]
    ]
    (denied,) = [s for s in statements(policy) if s["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (denied["Action"], denied["Principal"]) == ("sqs:*", {"AWS": "*"})


@pytest.mark.parametrize("id_", QUEUES)
def test_every_queue_is_open_to_this_accounts_events_alone(id_: str) -> None:
    reference = {"Ref": id_.partition("/")[2]}
    for policy in properties("dev", "AWS::SQS::QueuePolicy").values():
        if reference in policy["Queues"]:
            for statement in statements(policy):
                if statement["Effect"] == "Allow":
                    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
                    assert statement["Condition"] in (
                        {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                        *(
                            {
                                "ArnEquals": {
                                    "aws:SourceArn": {"Fn::GetAtt": [rule.partition("/")[2], "Arn"]}
                                }
                            }
                            for rule in RULES
                        ),
                    )


@pytest.mark.parametrize("name", ["uploads", "completions"])
def test_what_cannot_be_done_is_kept_as_long_as_sqs_can(name: str) -> None:
    (queue,) = [q for q in QUEUES.values() if q["QueueName"] == f"framewright-dev-{name}"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]
    assert name_of(dead_letters) == f"framewright-dev-{name}-dlq"
    for found in (queue, QUEUES[id_in(dead_letters)]):
        assert found["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("rule", "queue"), [("ObjectCreated", "uploads"), ("ProcessingEnded", "completions")]
)
def test_what_eventbridge_cannot_deliver_is_kept(rule: str, queue: str) -> None:
    (found,) = [properties for id_, properties in RULES.items() if rule in id_]
    (target,) = found["Targets"]
    assert name_of(target["Arn"]) == f"framewright-dev-{queue}"
    assert name_of(target["DeadLetterConfig"]["Arn"]) == f"framewright-dev-{queue}-dlq"


def test_only_uploads_of_this_stage_start_anything() -> None:
    (rule,) = [properties for id_, properties in RULES.items() if "ObjectCreated" in id_]
    pattern = rule["EventPattern"]
    (bucket,) = pattern["detail"]["bucket"]["name"]
    assert text(bucket) == "framewright-dev-uploads-${AWS::AccountId}-${AWS::Region}"
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])


def test_only_ends_of_this_stages_jobs_are_settled() -> None:
    (rule,) = [properties for id_, properties in RULES.items() if "ProcessingEnded" in id_]
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Processing Job State Change"],
        "detail": {
            "ProcessingJobName": [{"prefix": "fw-dev-"}],
            "ProcessingJobStatus": ["Completed", "Failed", "Stopped"],
        },
    }


@pytest.mark.parametrize("role", ["dispatch", "settle"])
def test_a_function_is_traced_on_arm_and_logs_to_a_group_that_forgets(role: str) -> None:
    found = function(role)
    assert found["Architectures"] == ["arm64"]
    assert found["TracingConfig"] == {"Mode": "Active"}
    assert found["Handler"] == f"lambdas.{role}.handler.handler"
    group = properties("dev", "AWS::Logs::LogGroup")[id_in(found["LoggingConfig"]["LogGroup"])]
    assert group["LogGroupName"] == f"/aws/lambda/framewright-dev-{role}"
    assert group["RetentionInDays"] == load_settings("dev").log_retention_days
    assert group["KmsKeyId"] == found["KmsKeyArn"]


@pytest.mark.parametrize(("role", "queue"), [("dispatch", "uploads"), ("settle", "completions")])
def test_a_function_reads_its_queue_and_names_what_failed(role: str, queue: str) -> None:
    found = mapping(role)
    assert name_of(found["EventSourceArn"]) == f"framewright-dev-{queue}"
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    limit = load_settings("dev").functions.max_concurrency
    assert found["ScalingConfig"] == {"MaximumConcurrency": limit}
    visibility_s = QUEUES[id_in(found["EventSourceArn"])]["VisibilityTimeout"]
    assert visibility_s >= 6 * function(role)["Timeout"]


def test_waiting_in_its_own_queue_is_no_loop_that_lambda_should_end() -> None:
    assert function("dispatch")["RecursiveLoop"] == "Allow"
    assert function("settle")["RecursiveLoop"] == "Terminate"


@pytest.mark.parametrize("stage", STAGES)
def test_a_function_is_told_what_the_settings_say(stage: str) -> None:
    for found in properties(stage, "AWS::Lambda::Function").values():
        variables = found["Environment"]["Variables"]
        told = from_json(PipelineSettings, variables["FRAMEWRIGHT_SETTINGS"])
        assert told == load_settings(stage).pipeline
        assert variables["FRAMEWRIGHT_STAGE"] == stage
        assert variables["FRAMEWRIGHT_PARTITION"] == {"Ref": "AWS::Partition"}
        # Lambda takes 4 kB of environment; references are short of what they become
        assert len(json.dumps(variables)) < 3000


def test_the_topic_is_encrypted_and_takes_tls_alone() -> None:
    ((id_, topic),) = properties("dev", "AWS::SNS::Topic").items()
    assert topic["TopicName"] == "framewright-dev-outcomes"
    assert "import framewright-dev-storage" in text(topic["KmsMasterKeyId"])
    (policy,) = properties("dev", "AWS::SNS::TopicPolicy").values()
    assert policy["Topics"] == [{"Ref": id_.partition("/")[2]}]
    (denied,) = statements(policy)
    assert (denied["Effect"], denied["Action"]) == ("Deny", "sns:Publish")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("stage", STAGES)
def test_orchestration_deploys_without_the_processing_stack(stage: str) -> None:
    written = json.dumps(template(stage, "orchestration"))
    assert f"framewright-{stage}-processing:" not in written
