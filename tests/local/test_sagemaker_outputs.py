"""What of a container's output folders reaches S3, and when."""

import pytest

from tests.local.conftest import BUCKET, LocalSageMaker, eventually, s3_output

HEAD = 'results = root / "processing/output/results"\n'
WAIT_FOR_STOP = """
import threading
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(0.05)
"""


def test_continuous_output_is_uploaded_while_the_container_runs(
    sagemaker: LocalSageMaker,
) -> None:
    code = HEAD + '(results / "early").write_text("1")\n' + WAIT_FOR_STOP
    sagemaker.create(code, outputs=[s3_output("Continuous")])
    eventually(lambda: "out/early" in sagemaker.stored())
    assert sagemaker.wait("job", "InProgress")


def test_a_file_that_is_still_written_to_is_not_uploaded(sagemaker: LocalSageMaker) -> None:
    code = f"""{HEAD}
with (results / "growing").open("w") as file:
    for _ in range(100):
        file.write("x" * 10)
        file.flush()
        time.sleep(0.01)
        if _ == 0:
            (results / "resting").touch()
"""
    sagemaker.create(code, outputs=[s3_output("Continuous")])
    eventually(lambda: "out/resting" in sagemaker.stored())
    assert "out/growing" not in sagemaker.stored()
    sagemaker.wait()
    assert len(sagemaker.read("out/growing")) == 1000


def test_a_file_that_changes_is_uploaded_again(sagemaker: LocalSageMaker) -> None:
    code = f"""{HEAD}
(results / "file").write_text("first")
while not (root / "changed").exists():
    time.sleep(0.3)
    (results / "file").write_text("second")
    (root / "changed").touch()
"""
    sagemaker.create(code, outputs=[s3_output("Continuous")])
    eventually(lambda: "out/file" in sagemaker.stored())
    assert sagemaker.read("out/file") == b"first"
    sagemaker.wait()
    assert sagemaker.read("out/file") == b"second"


def test_output_at_the_end_of_the_job_is_not_uploaded_before(sagemaker: LocalSageMaker) -> None:
    code = f"""{HEAD}
(results / "file").touch()
while not (root / "processing/output/results/file").exists(): pass
time.sleep(0.3)
"""
    sagemaker.create(code, outputs=[s3_output("EndOfJob")])
    assert not sagemaker.stored()
    sagemaker.wait()
    assert sagemaker.stored() == {"out/file"}


@pytest.mark.parametrize(("mode", "expected"), [("Continuous", {"out/file"}), ("EndOfJob", set())])
def test_a_failed_job_leaves_its_continuous_output_only(
    sagemaker: LocalSageMaker, mode: str, expected: set[str]
) -> None:
    sagemaker.run(HEAD + '(results / "file").touch(); sys.exit(1)', outputs=[s3_output(mode)])
    assert sagemaker.stored() == expected


def test_symbolic_links_are_not_uploaded(sagemaker: LocalSageMaker) -> None:
    code = f"""{HEAD}
(results / "file").write_text("1")
(results / "link").symlink_to("file")
(results / "folder").symlink_to("/etc")
os.mkfifo(results / "pipe")
"""
    sagemaker.run(code, outputs=[s3_output("Continuous")])
    assert sagemaker.stored() == {"out/file"}


@pytest.mark.parametrize(
    ("uri", "prefix"),
    [
        (f"s3://{BUCKET}/out", "out/"),
        (f"s3://{BUCKET}/out/", "out/"),
        (f"s3://{BUCKET}/", ""),
        (f"s3://{BUCKET}", ""),
    ],
)
def test_keys_are_paths_relative_to_the_folder(
    sagemaker: LocalSageMaker, uri: str, prefix: str
) -> None:
    code = f"""{HEAD}
(results / "Ü ber+%" / "深い").mkdir(parents=True)
(results / "Ü ber+%" / "深い" / "file").touch()
"""
    sagemaker.run(code, outputs=[s3_output("Continuous", uri)])
    assert sagemaker.stored() == {f"{prefix}Ü ber+%/深い/file"}


def test_all_hosts_write_to_the_same_place(sagemaker: LocalSageMaker) -> None:
    code = f"""{HEAD}
host = json.loads((root / "config/resourceconfig.json").read_text())["current_host"]
(results / host).touch()
"""
    sagemaker.run(code, count=2, outputs=[s3_output("EndOfJob")])
    assert sagemaker.stored() == {"out/algo-1", "out/algo-2"}


def test_output_is_encrypted_with_the_key_it_is_to_be(sagemaker: LocalSageMaker) -> None:
    config = {"Outputs": [s3_output("Continuous")], "KmsKeyId": "alias/results"}
    sagemaker.run(HEAD + '(results / "file").touch()', ProcessingOutputConfig=config)
    head = sagemaker.s3.head_object(Bucket=BUCKET, Key="out/file")
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == "alias/results"
