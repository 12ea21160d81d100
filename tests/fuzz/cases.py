"""A case of the fuzzer: a number decides all of it."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from contracts.messages import InferenceRequest
from contracts.models import resolve_model
from tests.fuzz.mutations import MUTATIONS, Broken
from tests.fuzz.seeds import SEED_VIDEOS, SeedVideo
from tests.vision.attempts import any_request

_SELECTIONS = ("all", "all", "every_nth=3", "every_seconds=0.5", "key_frames", "indices=0,5,11")
_MODEL = resolve_model("builtin:people")


@dataclass(frozen=True, slots=True)
class Case:
    """
    One mutated video and what is asked of it.

    Attributes:
        number: Its seed.
        kinds: Of mutation, in their order.
    """

    number: int
    video: SeedVideo
    kinds: tuple[str, ...]
    select: str

    @classmethod
    def of(cls, number: int) -> "Case":
        """The case of a number."""
        random = Random(number)  # noqa: S311 - no secret
        names = list(MUTATIONS)
        kinds = [names[number % len(names)]]
        if random.random() < 0.2:
            kinds.append(random.choice(names))
        video = random.choice(SEED_VIDEOS)
        return cls(number, video, tuple(kinds), random.choice(_SELECTIONS))

    @property
    def kind(self) -> str:
        return self.kinds[0]

    def make(self, seeds: dict[str, Path], folder: Path) -> Path:
        """Write the mutated video."""
        random = Random(self.number * 2 + 1)  # noqa: S311 - no secret
        seed = seeds[self.video.name]
        other = seeds[random.choice(sorted(set(seeds) - {self.video.name}))]
        broken = Broken(bytearray(seed.read_bytes()), self.video.ending, seed, other.read_bytes())
        for kind in self.kinds:
            if broken.content:
                MUTATIONS[kind](broken, random)
        path = folder / f"{self.number:06d}.{broken.ending}"
        path.write_bytes(broken.content)
        return path

    def request(self, path: Path) -> InferenceRequest:
        """What the container is asked."""
        return any_request(path, select=self.select, model=_MODEL)
