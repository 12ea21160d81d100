"""All stacks of one stage."""

import aws_cdk as cdk

from contracts.env import Names
from stacks.orchestration import Orchestration
from stacks.processing import Processing
from stacks.settings import Settings
from stacks.storage import Storage


class Pipeline:
    """
    The stacks of a stage.

    They share names, which are built from the stage, and the key's ARN, which only AWS can give.
    """

    def __init__(self, app: cdk.App, *, settings: Settings) -> None:
        names = Names(
            stage=settings.stage,
            account=cdk.Aws.ACCOUNT_ID,
            region=cdk.Aws.REGION,
            partition=cdk.Aws.PARTITION,
        )
        self.storage = Storage(app, f"{names.prefix}-storage", names=names, settings=settings)
        key_arn = self.storage.key.key_arn
        self.processing = Processing(
            app, f"{names.prefix}-processing", names=names, settings=settings, key_arn=key_arn
        )
        self.orchestration = Orchestration(
            app,
            f"{names.prefix}-orchestration",
            names=names,
            settings=settings,
            key_arn=key_arn,
            job_template=self.processing.job_template,
        )
        self.orchestration.add_stack_dependency(
            self.processing, "dispatch must not ask for an image before it was pushed"
        )
