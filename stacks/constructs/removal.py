"""What happens to data when their stack goes."""

import aws_cdk as cdk


def removal_policy(*, keep: bool) -> cdk.RemovalPolicy:
    """Whether data outlive their stack."""
    return cdk.RemovalPolicy.RETAIN if keep else cdk.RemovalPolicy.DESTROY
