"""Who may become or reach what."""

from collections.abc import Iterator

from stacks.rules.template import Finding, Properties, Template, many, statements

DEPUTIES = ("sagemaker.amazonaws.com", "scheduler.amazonaws.com")
"""Services that act for whoever asks them, in any account: the role must say for whom."""
RESOURCE_POLICIES = {
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::ECR::Repository": "RepositoryPolicyText",
}


def roles_have_names(template: Template) -> Iterator[Finding]:
    """The key's policy can only name what has a name before it is made."""
    for id_, role in template.of("AWS::IAM::Role"):
        if not role.get("RoleName"):
            yield Finding(
                "role-name",
                id_,
                "The role has no fixed name, so the stage's key cannot name it among its users.",
                "Give it role_name=names.role(...), and add the part to ROLES of its key.",
            )


def deputies_are_bound(template: Template) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"""
    for id_, role in template.of("AWS::IAM::Role"):
        for statement in statements(role["AssumeRolePolicyDocument"]):
            for deputy in many(statement["Principal"].get("Service", [])):
                if deputy in DEPUTIES and not _is_bound(statement):
                    yield Finding(
                        "confused-deputy",
                        id_,
                        f"{deputy} may take this role for anybody who names it.",
                        "Let the trust policy ask for aws:SourceAccount and aws:SourceArn.",
                    )


def policies_are_closed(template: Template) -> Iterator[Finding]:
    """What a resource's own policy allows is exact; cdk-nag looks at those of roles alone."""
    for kind, document in RESOURCE_POLICIES.items():
        for id_, properties in template.of(kind):
            for statement in statements(properties.get(document, {})):
                if statement["Effect"] != "Allow":
                    continue
                if wide := [a for a in many(statement["Action"]) if "*" in a]:
                    yield Finding(
                        "open-policy",
                        id_,
                        f"The policy allows {', '.join(wide)}.",
                        "Name each action that is needed.",
                    )
                if statement["Principal"] in ("*", {"AWS": "*"}):
                    yield Finding(
                        "open-policy",
                        id_,
                        "The policy lets anybody in.",
                        "Name the principals; a condition is forgotten too easily.",
                    )


def _is_bound(statement: Properties) -> bool:
    asked = {key for keys in statement.get("Condition", {}).values() for key in keys}
    return {"aws:SourceAccount", "aws:SourceArn"} <= asked


PRINCIPALS = (roles_have_names, deputies_are_bound, policies_are_closed)
