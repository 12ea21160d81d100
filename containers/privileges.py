"""
Gives up root before a byte of input is read.

SageMaker's output folders belong to root, so the image starts as root and becomes an ordinary user
here: docs/adr/0008-start-as-root-give-it-up.md.
"""

import ctypes
import os
import re
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from contracts.env import (
    PROCESSING_MODEL,
    PROCESSING_REQUESTS,
    PROCESSING_RESULTS,
    PROCESSING_VIDEOS,
)

RUN_AS_VARIABLE = "FRAMEWRIGHT_RUN_AS"
"""The image sets it to `<uid>:<gid>`. A developer's machine does not, and nothing changes there."""

_WRITTEN = ("output", PROCESSING_RESULTS)
_READ = (
    "config",
    *(str(folder) for folder in reversed(PurePosixPath(PROCESSING_RESULTS).parents)),
    str(PurePosixPath(PROCESSING_VIDEOS).parent),
    PROCESSING_REQUESTS,
    PROCESSING_VIDEOS,
    PROCESSING_MODEL,
)
_READABLE_BY_OTHERS = 0o005
_PR_SET_NO_NEW_PRIVS = 38
_ACCOUNT = re.compile(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,8})", re.ASCII)


class PrivilegesError(Exception):
    """Root cannot be given up, so no input may be read; the same job would fail again."""


@dataclass(frozen=True, slots=True)
class Account:
    """An ordinary user and its group, by number."""

    uid: int
    gid: int

    @classmethod
    def parse(cls, text: str) -> "Account":
        """
        Read `<uid>:<gid>`.

        Raises:
            PrivilegesError: It is something else, or names root.
        """
        match = _ACCOUNT.fullmatch(text)
        if match is None:
            raise PrivilegesError(
                f"{RUN_AS_VARIABLE} is {text!r}: expected <uid>:<gid>, both above 0"
            )
        return cls(int(match[1]), int(match[2]))


def give_up_root(environment: MutableMapping[str, str], root: Path) -> Account | None:
    """
    Become the user that the environment names, for good; where it names none, stay as we are.

    That user is given the output folders below `root`, and a temporary folder of its own as its
    home. Links are not followed.

    Returns:
        The user, or None where the process was not root or was not asked.

    Raises:
        PrivilegesError: The process may still be root and must end.
    """
    text = environment.get(RUN_AS_VARIABLE)
    if text is None or 0 not in (os.getuid(), os.geteuid()):
        return None
    account = Account.parse(text)
    try:
        _give_folders(account, root)
        home = tempfile.mkdtemp(prefix="framewright-home-")
        os.chown(home, account.uid, account.gid)
        _become(account)
    except OSError as error:
        raise PrivilegesError(
            f"cannot run as {text}: {error}; the container needs CHOWN, DAC_OVERRIDE, FOWNER, "
            "SETGID and SETUID until it has given up root"
        ) from error
    # The image's /tmp may be hidden by a volume that only root may write.
    environment["HOME"] = environment["TMPDIR"] = tempfile.tempdir = home
    return account


def _give_folders(account: Account, root: Path) -> None:
    for path in _WRITTEN:
        with _opened(root, path, make=True) as folder:
            os.fchown(folder, account.uid, account.gid)
    for path in _READ:
        with suppress(FileNotFoundError), _opened(root, path) as folder:
            mode = os.fstat(folder).st_mode & 0o7777
            # Not given away: what reads the inputs need not be able to change them.
            if mode & _READABLE_BY_OTHERS != _READABLE_BY_OTHERS:
                os.fchmod(folder, mode | _READABLE_BY_OTHERS)


@contextmanager
def _opened(root: Path, path: str, *, make: bool = False) -> Iterator[int]:
    """Open a folder below `root`, part by part, because O_NOFOLLOW looks at the last part only."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(root, flags)
    try:
        for part in PurePosixPath(path).parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _become(account: Account) -> None:
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    _forbid_new_privileges()
    for regain in (os.setuid, os.setgid):
        with suppress(PermissionError):
            regain(0)
            raise PrivilegesError(f"{regain.__name__}(0) gave root back after it was given up")
    ids = (os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups())
    if ids != (account.uid, account.uid, account.gid, account.gid, []):
        raise PrivilegesError(f"expected to be {account}, without further groups, and am {ids}")


def _forbid_new_privileges() -> None:
    """No program started from here gains anything, whatever its set-user-ID bits say."""
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"PR_SET_NO_NEW_PRIVS: {os.strerror(number)}")
