"""Nothing is reached without TLS."""

from collections.abc import Iterator

from stacks.rules.template import Finding, Properties, Template, many, named, statements

POLICIES = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", {"s3:*"}),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", {"sqs:*"}),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", {"sns:*", "sns:Publish"}),
}
"""The policy of each kind of resource, where it names the resource, and what must be denied."""
MIN_TLS_VERSION = 1.2
"""S3 alone has a condition for it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"""

_EVERYBODY = ("*", {"AWS": "*"})


def nothing_goes_without_tls(template: Template) -> Iterator[Finding]:
    """A policy denies everybody what does not come over TLS."""
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    for kind, id_, denials in _denials(template):
        if not any(denial.get("Condition") == plain for denial in denials):
            yield Finding(
                "tls",
                id_,
                f"{kind} can be reached without TLS.",
                "Make it with enforce_ssl=True, or deny all where aws:SecureTransport is false.",
            )


def buckets_refuse_old_tls(template: Template) -> Iterator[Finding]:
    """TLS before 1.2 is broken."""
    for kind, id_, denials in _denials(template):
        versions = [
            denial.get("Condition", {}).get("NumericLessThan", {}).get("s3:TlsVersion", 0)
            for denial in denials
        ]
        if kind == "AWS::S3::Bucket" and max(map(float, versions), default=0) < MIN_TLS_VERSION:
            yield Finding(
                "tls",
                id_,
                f"The bucket can be reached over TLS older than {MIN_TLS_VERSION}.",
                f"Make it with minimum_tls_version={MIN_TLS_VERSION}.",
            )


def _denials(template: Template) -> Iterator[tuple[str, str, list[Properties]]]:
    """What the policies of each bucket, queue and topic deny everybody."""
    for kind, (policy_kind, names, denied) in POLICIES.items():
        policies = list(template.of(policy_kind))
        for id_, _ in template.of(kind):
            found = [
                statement
                for _, policy in policies
                if id_ in named(policy[names])
                for statement in statements(policy["PolicyDocument"])
                if statement["Effect"] == "Deny"
                and statement["Principal"] in _EVERYBODY
                and denied & set(many(statement["Action"]))
            ]
            yield kind, id_, found


TRANSPORT = (nothing_goes_without_tls, buckets_refuse_old_tls)
