"""Built-in models by name; each is imported only when it is asked for."""

from contracts.messages import Model
from vision.models.base import VisionModel


def builtin_model(identity: Model) -> VisionModel:
    """
    The built-in model of this name.

    Raises:
        ValueError: There is none.
    """
    if identity.name == "builtin:people":
        from vision.models.people import PeopleModel

        return PeopleModel()
    if identity.name == "builtin:lanes":
        from vision.models.lanes import LanesModel

        return LanesModel()
    raise ValueError(f"no built-in model is called {identity.name!r}")
