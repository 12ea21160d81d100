"""The stage's CloudFormation stacks: one stack per file, one noun per construct."""
