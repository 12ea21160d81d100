"""
Parts of one long video, processed apart and joined again.

A GOP belongs to a shard by where in the file it begins, so every shard tells the same without being
told. Frames go to models in batches, and a batch belongs whole to the shard of its first frame: the
batches, and so the results, are those of a run that is not sharded.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shard:
    """
    One of several parts of a video.

    Attributes:
        index: From 0.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"a shard is i/n with i from 0 to n - 1, got {self.index}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """
        Read `i/n`; `str()` is the inverse.

        Raises:
            ValueError: The text is no shard.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isascii() and index.isdecimal() and count.isascii()) or not (
            count.isdecimal()
        ):
            raise ValueError(f"a shard is i/n, such as 0/4 for the first of four, got {text!r}")
        return cls(int(index), int(count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Part:
    """
    A shard's wanted frames, by the indices of the first and the last.

    Attributes:
        frame_count: Of the whole video.
    """

    first: int
    last: int
    frame_count: int


@dataclass(slots=True)
class Partition:
    """
    Finds a shard's part while all wanted frames of a video are named in presentation order.

    Attributes:
        batch_size: Frames that a model is given at once.
        file_size_bytes: Of the video.
        frames: Indices of the shard's first and last wanted frames; None where it has none.
    """

    shard: Shard
    batch_size: int
    file_size_bytes: int
    frames: tuple[int, int] | None = None
    _number: int = field(default=0, init=False)
    _owner: int = field(default=0, init=False)

    def add(self, frame_index: int, position: int) -> None:
        """
        Note the next wanted frame.

        Args:
            position: Where in the file its GOP begins.
        """
        if self._number % self.batch_size == 0:
            owner = max(0, position) * self.shard.count // max(1, self.file_size_bytes)
            self._owner = min(max(self._owner, owner), self.shard.count - 1)
        self._number += 1
        if self._owner == self.shard.index:
            first = self.frames[0] if self.frames else frame_index
            self.frames = first, frame_index
