"""
Cold starts: importing a handler from its asset, against boto3 and that handler's clients alone.

Run with `python -m benchmarks.cold_import [rounds]`. Every import is a fresh process that finds
what it finds in Lambda, tracing on; the two are interleaved, first one then the other first, and
medians are printed: of wall time, and of processor time, which a busy machine disturbs less.
Nothing is asserted.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from contracts.documents import to_json
from contracts.pipeline import JobTemplate
from stacks.constructs.lambda_code import assemble
from stacks.settings import load_settings
from tests.stacks.runtime import lambda_runtime

CLIENTS = {
    "dispatch": ("s3", "sqs", "dynamodb", "sagemaker"),
    "settle": ("s3", "sagemaker", "sns", "dynamodb", "sqs"),
}
ROUNDS = 11
TIMED = """
import time
wall, processor = time.perf_counter(), time.process_time()
{statements}
print((time.perf_counter() - wall) * 1000, (time.process_time() - processor) * 1000)
"""


def main() -> None:
    """Print the medians of each role and their ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    folder = Path(tempfile.mkdtemp(prefix="framewright-cold-"))
    try:
        print(f"Medians of {rounds} rounds, ms")
        print(f"{'role':9} {'time':10} {'boto3 + clients':>15} {'handler':>9} {'ratio':>6}")
        (folder / "runtime").mkdir()
        lambda_runtime(folder / "runtime")
        for role, clients in CLIENTS.items():
            compare(role, clients, assemble(role, folder / role), rounds)
    finally:
        shutil.rmtree(folder)


def compare(role: str, clients: tuple[str, ...], asset: Path, rounds: int) -> None:
    """Time both in turn, so that a busy moment of the machine meets both."""
    base = "import boto3\n" + "\n".join(f"boto3.client({name!r})" for name in clients)
    handler = f"import lambdas.{role}.handler"
    times: dict[str, list[tuple[float, float]]] = {base: [], handler: []}
    for statements in times:
        import_ms(statements, role, asset)  # writes the bytecode, warms the file cache
    for number in range(rounds):
        for statements in (base, handler) if number % 2 else (handler, base):
            times[statements].append(import_ms(statements, role, asset))
    for column, kind in enumerate(("wall", "processor")):
        base_ms = statistics.median(pair[column] for pair in times[base])
        handler_ms = statistics.median(pair[column] for pair in times[handler])
        ratio = handler_ms / base_ms
        print(f"{role:9} {kind:10} {base_ms:15.0f} {handler_ms:9.0f} {ratio:6.2f}")


def import_ms(statements: str, role: str, asset: Path) -> tuple[float, float]:
    """Wall and processor milliseconds that the statements take in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", TIMED.format(statements=statements)],
        env=environment(role, asset),
        cwd=asset,
        capture_output=True,
        text=True,
        check=True,
    )
    wall_ms, processor_ms = map(float, done.stdout.split())
    return wall_ms, processor_ms


def environment(role: str, asset: Path) -> dict[str, str]:
    """What Lambda and the stack set."""
    template = JobTemplate("image", "role", "key", "ml.c6i.xlarge", 30, 3600)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{asset}{os.pathsep}{asset.parent / 'runtime'}",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_LAMBDA_FUNCTION_NAME": f"framewright-dev-{role}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "LAMBDA_TASK_ROOT": str(asset),
        "_X_AMZN_TRACE_ID": "Root=1-00000000-000000000000000000000000;Sampled=0",
        "FRAMEWRIGHT_STAGE": "dev",
        "FRAMEWRIGHT_ACCOUNT_ID": "123456789012",
        "FRAMEWRIGHT_PARTITION": "aws",
        "FRAMEWRIGHT_SETTINGS": to_json(load_settings("dev").pipeline),
        "FRAMEWRIGHT_JOB_TEMPLATE": to_json(template),
        "POWERTOOLS_SERVICE_NAME": role,
    }


if __name__ == "__main__":
    main()
