"""Conditions that narrow what may be granted on the stage's key."""

FOR_AWS_RESOURCES = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
"""SageMaker hands a job's volume its key by a grant; nobody else gets one."""
