"""What the AWS Solutions rules do not ask, and a reviewer of this system would."""

from stacks.rules.encryption import ENCRYPTION
from stacks.rules.failures import FAILURES
from stacks.rules.principals import PRINCIPALS
from stacks.rules.template import Finding, Rule, Template
from stacks.rules.transport import TRANSPORT

RULES: tuple[Rule, ...] = (*PRINCIPALS, *ENCRYPTION, *TRANSPORT, *FAILURES)

__all__ = ["RULES", "Finding", "Rule", "Template"]
