"""What a good server says when it will not do what was asked."""

from collections.abc import Mapping


class Refusal(Exception):
    """An answer in OpenAI's error shape instead of a completion."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind

    @property
    def body(self) -> Mapping[str, object]:
        """The JSON that OpenAI's clients read an error from."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}
