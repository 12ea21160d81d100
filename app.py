"""Settings → stacks → tags: `cdk synth -c stage=dev`. Needs no account, Docker or network."""

import sys

import aws_cdk as cdk

from stacks.checks import add_checks
from stacks.pipeline import Pipeline
from stacks.settings import SettingsError, load_settings


def main() -> None:
    """Synthesise the stage that the context names."""
    app = cdk.App()
    try:
        settings = load_settings(app.node.try_get_context("stage"))
    except SettingsError as error:
        sys.exit(f"framewright: {error}")
    Pipeline(app, settings=settings)
    add_checks(app)
    cdk.Tags.of(app).add("project", "framewright")
    cdk.Tags.of(app).add("stage", settings.stage)
    app.synth()


if __name__ == "__main__":
    main()
