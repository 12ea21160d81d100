"""The one Logger, Tracer and Metrics of a function, set up by Powertools from the environment."""

from aws_lambda_powertools import Logger, Metrics, Tracer

logger = Logger()
# All that a function calls is AWS; looking for every library that X-Ray knows costs a cold start.
tracer = Tracer(patch_modules=("botocore",))
metrics = Metrics(namespace="Framewright")
