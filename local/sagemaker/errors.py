"""How a call is refused."""


class ServiceError(Exception):
    """A refusal as SageMaker words it: an error code that SDKs turn into an exception."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """SageMaker answers 400 to whatever is the caller's fault."""
        return 500 if self.code == "InternalFailure" else 400


def validation_error(message: str) -> ServiceError:
    """The request breaks a rule."""
    return ServiceError("ValidationException", message)
