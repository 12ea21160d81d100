"""Queues that lose nothing, functions that do what their queue brings, a topic that tells."""

import json
from typing import Any

import pytest

from contracts.documents import from_json
from contracts.pipeline import PipelineSettings, ReconcileSettings
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


@pytest.mark.parametrize("role", ["dispatch", "settle", "reconcile"])
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


def test_settle_has_all_the_time_that_lambda_gives_for_a_very_long_result() -> None:
    assert function("settle")["Timeout"] == 15 * 60


@pytest.mark.parametrize("stage", STAGES)
def test_a_function_is_told_what_the_settings_say(stage: str) -> None:
    for found in properties(stage, "AWS::Lambda::Function").values():
        variables = found["Environment"]["Variables"]
        if "FRAMEWRIGHT_RECONCILE" in variables:
            asked = from_json(ReconcileSettings, variables["FRAMEWRIGHT_RECONCILE"])
            assert asked == load_settings(stage).reconcile
        else:
            told = from_json(PipelineSettings, variables["FRAMEWRIGHT_SETTINGS"])
            assert told == load_settings(stage).pipeline
        assert variables["FRAMEWRIGHT_STAGE"] == stage
        assert variables["FRAMEWRIGHT_PARTITION"] == {"Ref": "AWS::Partition"}
        # Lambda takes 4 kB of environment; references are short of what they become
        assert len(json.dumps(variables)) < 3000


TOPICS = properties("dev", "AWS::SNS::Topic")


@pytest.mark.parametrize("id_", TOPICS)
def test_a_topic_is_encrypted_and_takes_tls_alone(id_: str) -> None:
    assert "import framewright-dev-storage" in text(TOPICS[id_]["KmsMasterKeyId"])
    (denied,) = [s for s in topic_policy(id_) if s["Effect"] == "Deny"]
    assert denied["Action"] == "sns:Publish"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_alarms_of_this_stage_alone_speak_on_the_alarms_topic() -> None:
    topics = {topic["TopicName"]: id_ for id_, topic in TOPICS.items()}
    assert set(topics) == {"framewright-dev-outcomes", "framewright-dev-alarms"}
    (allowed,) = [
        s for s in topic_policy(topics["framewright-dev-alarms"]) if s["Effect"] == "Allow"
    ]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    condition = allowed["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert text(condition["ArnLike"]["aws:SourceArn"]).endswith(":alarm:framewright-dev-*")


def topic_policy(id_: str) -> list[dict[str, Any]]:
    reference = {"Ref": id_.partition("/")[2]}
    (policy,) = [
        p for p in properties("dev", "AWS::SNS::TopicPolicy").values() if reference in p["Topics"]
    ]
    return statements(policy)


def test_reconcile_runs_every_few_minutes_and_never_over_itself() -> None:
    (schedule,) = properties("dev", "AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    target = schedule["Target"]
    assert FUNCTIONS[id_in(target["Arn"])] is function("reconcile")
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0}
    assert name_of(target["DeadLetterConfig"]["Arn"]) == "framewright-dev-reconcile-dlq"
    assert function("reconcile")["Timeout"] < 5 * 60
    (asynchronous,) = properties("dev", "AWS::Lambda::EventInvokeConfig").values()
    assert asynchronous["MaximumRetryAttempts"] == 0
    kept = asynchronous["DestinationConfig"]["OnFailure"]["Destination"]
    assert name_of(kept) == "framewright-dev-reconcile-dlq"


def test_one_minute_is_written_in_the_singular() -> None:
    (schedule,) = properties("local", "AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == "rate(1 minute)"


ALARMS = {
    alarm["AlarmName"].removeprefix("framewright-dev-"): alarm
    for alarm in properties("dev", "AWS::CloudWatch::Alarm").values()
}


def watched(alarm: dict[str, Any]) -> str:
    """What an alarm's one dimension is: a queue's, a function's or a service's name."""
    ((_, reference),) = ((d["Name"], d["Value"]) for d in alarm["Dimensions"])
    named = {**QUEUES, **FUNCTIONS}[id_in(text(reference).partition(".")[0])]
    return str(named.get("QueueName") or named.get("FunctionName"))


def test_every_dead_letter_queue_has_an_alarm() -> None:
    dead_letters = {q["QueueName"] for q in QUEUES.values() if q["QueueName"].endswith("-dlq")}
    alarms = [a for a in ALARMS.values() if a["MetricName"] == "ApproximateNumberOfMessagesVisible"]
    assert {watched(alarm) for alarm in alarms} == dead_letters
    assert {(a["Threshold"], a["ComparisonOperator"]) for a in alarms} == {
        (0, "GreaterThanThreshold")
    }


def test_every_working_queue_has_an_alarm_on_its_oldest_message() -> None:
    alarms = [a for a in ALARMS.values() if a["MetricName"] == "ApproximateAgeOfOldestMessage"]
    assert {watched(alarm) for alarm in alarms} == {
        "framewright-dev-uploads",
        "framewright-dev-completions",
    }


def test_every_function_has_an_alarm_on_its_errors() -> None:
    alarms = [a for a in ALARMS.values() if a["MetricName"] == "Errors"]
    assert {watched(alarm) for alarm in alarms} == {f["FunctionName"] for f in FUNCTIONS.values()}


def test_a_job_that_failed_for_good_has_an_alarm_of_this_stage() -> None:
    alarm = ALARMS["JobsFailed"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Framewright", "JobsFailed")
    assert watched(alarm) == "framewright-dev-settle"
    service = function("settle")["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    assert service == "framewright-dev-settle"  # the metric's dimension


def test_reconcile_that_does_not_run_has_an_alarm_although_it_says_nothing() -> None:
    alarm = ALARMS["ReconcileMissed"]
    assert watched(alarm) == "framewright-dev-reconcile"
    assert (alarm["MetricName"], alarm["Statistic"]) == ("Invocations", "Sum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert (alarm["TreatMissingData"], alarm["Period"]) == ("breaching", 900)


def test_every_alarm_speaks_on_the_alarms_topic() -> None:
    for alarm in ALARMS.values():
        (action,) = alarm["AlarmActions"]
        assert TOPICS[id_in(action)]["TopicName"] == "framewright-dev-alarms"


@pytest.mark.parametrize("stage", STAGES)
def test_orchestration_deploys_without_the_processing_stack(stage: str) -> None:
    written = json.dumps(template(stage, "orchestration"))
    assert f"framewright-{stage}-processing:" not in written
