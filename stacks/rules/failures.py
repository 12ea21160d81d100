"""What cannot be done or delivered goes where somebody finds it."""

from collections.abc import Iterator

from stacks.rules.template import Finding, Template, named


def queues_have_dead_letters(template: Template) -> Iterator[Finding]:
    """Every queue has a dead-letter queue, or is one."""
    queues = dict(template.of("AWS::SQS::Queue"))
    dead_letters: set[str] = set()
    for queue in queues.values():
        dead_letters |= named(queue.get("RedrivePolicy", {}))
    dead_letters |= _named_as_dead_letters(template)
    for id_, queue in queues.items():
        if not queue.get("RedrivePolicy") and id_ not in dead_letters:
            yield Finding(
                "dead-letters",
                id_,
                "What the queue's consumer cannot do is tried until it expires, and then lost.",
                "Make it a WorkQueue, which has a dead-letter queue.",
            )


def deliveries_have_dead_letters(template: Template) -> Iterator[Finding]:
    """Rules and schedules give up after a day."""
    for id_, rule in template.of("AWS::Events::Rule"):
        if not all(target.get("DeadLetterConfig") for target in rule.get("Targets", [])):
            yield _undelivered(id_, "rule")
    for id_, schedule in template.of("AWS::Scheduler::Schedule"):
        if not schedule.get("Target", {}).get("DeadLetterConfig"):
            yield _undelivered(id_, "schedule")


def functions_have_dead_letters(template: Template) -> Iterator[Finding]:
    """A function is fed by a queue, which has one, or has its own."""
    fed = {
        id_
        for _, mapping in template.of("AWS::Lambda::EventSourceMapping")
        for id_ in named(mapping["FunctionName"])
    }
    caught = {
        id_
        for _, config in template.of("AWS::Lambda::EventInvokeConfig")
        if config.get("DestinationConfig", {}).get("OnFailure")
        for id_ in named(config["FunctionName"])
    }
    for id_, function in template.of("AWS::Lambda::Function"):
        if id_ not in fed | caught and not function.get("DeadLetterConfig"):
            yield Finding(
                "dead-letters",
                id_,
                "What the function fails at, when it is called asynchronously, is lost.",
                "Feed it by a queue, or give it a dead-letter queue.",
            )


def _named_as_dead_letters(template: Template) -> set[str]:
    found: set[str] = set()
    for _, rule in template.of("AWS::Events::Rule"):
        for target in rule.get("Targets", []):
            found |= named(target.get("DeadLetterConfig", {}))
    for _, schedule in template.of("AWS::Scheduler::Schedule"):
        found |= named(schedule.get("Target", {}).get("DeadLetterConfig", {}))
    for _, function in template.of("AWS::Lambda::Function"):
        found |= named(function.get("DeadLetterConfig", {}))
    for _, config in template.of("AWS::Lambda::EventInvokeConfig"):
        found |= named(config.get("DestinationConfig", {}).get("OnFailure", {}))
    return found


def _undelivered(id_: str, what: str) -> Finding:
    return Finding(
        "dead-letters",
        id_,
        f"What the {what} cannot deliver is lost after a day.",
        f"Give the {what}'s target a dead-letter queue.",
    )


FAILURES = (queues_have_dead_letters, deliveries_have_dead_letters, functions_have_dead_letters)
