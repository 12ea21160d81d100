"""The one Logger, Tracer and Metrics of a function, set up by Powertools from the environment."""

from aws_lambda_powertools import Logger, Metrics, Tracer

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace="Framewright")
