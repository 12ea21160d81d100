"""The checks that synthesis runs: the AWS Solutions rules and our own."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from cdk_nag import AwsSolutionsChecks

from stacks.rules import RULES, Finding, Template


def add_checks(app: cdk.App) -> None:
    """Let synthesis fail where a template breaks a rule and nothing says why it may."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True), OwnRules())


@jsii.implements(cdk.IPolicyValidationPlugin)
class OwnRules:
    """`stacks.rules` over the templates as they will be deployed, escape hatches included."""

    @property
    def name(self) -> str:
        """What stands before a rule's name where a finding is accepted."""
        return "Framewright"

    @property
    def version(self) -> str:
        """The CDK wants one."""
        return "1.0.0"

    @property
    def rule_ids(self) -> list[str] | None:
        """Of use to statistics only."""
        return None

    def validate(self, context: Any) -> cdk.PolicyValidationPluginReport:
        """What breaks a rule; the CDK takes out what was accepted."""
        violations = [
            _violation(path, finding)
            for path in context.template_paths
            for finding in findings(json.loads(Path(path).read_text()))
        ]
        return cdk.PolicyValidationPluginReport(success=not violations, violations=violations)


def findings(template: dict[str, Any]) -> list[Finding]:
    """All that a template breaks of our own rules."""
    read = Template(template.get("Resources", {}))
    return [finding for rule in RULES for finding in rule(read)]


def _violation(path: str, finding: Finding) -> cdk.PolicyViolation:
    return cdk.PolicyViolation(
        rule_name=finding.rule,
        description=finding.fault,
        fix=finding.remedy,
        severity="error",
        violating_resources=[
            cdk.PolicyViolatingResource(
                resource_logical_id=finding.resource, template_path=path, locations=["Properties"]
            )
        ],
    )
