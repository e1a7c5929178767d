"""The schema of what is asked: prompts and their parts, messages of a conversation, texts of a wanted size."""

from typing import Annotated, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from runner.core.attachment_parts import Detail, Kind
from runner.core.suite import Role
from runner.suite.schema_types import StrictModel, Text
from runner.suite.tool_schema import CallSchema

KINDS: tuple[Kind, ...] = get_args(Kind)


class PartSchema(StrictModel):
    """A part of a prompt: exactly one of text, image, file and audio."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in ("text", *KINDS)]})

    text: str | None = Field(default=None, description="A text. A template.")
    image: Text | None = Field(
        default=None, description="A .png, .jpg, .gif or .webp file beside or below the suite, or a URL. A template."
    )
    file: Text | None = Field(default=None, description="A .pdf or text file beside or below the suite, or a URL.")
    audio: Text | None = Field(default=None, description="A .wav or .mp3 file beside or below the suite.")
    detail: Detail | None = Field(
        default=None, description="How closely the model looks at the image. Left out: the provider's own default."
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [key for key in ("text", *KINDS) if getattr(self, key) is not None]
        if len(given) != 1:
            what = f"this part has `{given[0]}` and `{given[1]}`" if given else "this part says nothing"
            raise ValueError(f"{what}. Write exactly one of text, image, file and audio in each part")
        if self.detail is not None and self.image is None:
            raise ValueError("`detail` is about an image. Remove it, or write it beside `image`")
        return self

    @property
    def written(self) -> tuple[str, str]:
        """The key that the part has, and its text."""
        return next((key, text) for key in ("text", *KINDS) if (text := getattr(self, key)) is not None)


def _check_parts(parts: tuple[str | PartSchema, ...]) -> tuple[str | PartSchema, ...]:
    if all(isinstance(part, str) for part in parts):
        raise ValueError("this is a list of texts alone. Write one text, or `turns` to ask one after another")
    return parts


PartSchemas = Annotated[tuple[str | PartSchema, ...], Field(min_length=1, max_length=100), AfterValidator(_check_parts)]
Prompt = str | PartSchemas
"""What is asked: a text, or a list of texts, images, files and audio."""


class MessageSchema(StrictModel):
    """One message of a conversation that has already happened."""

    role: Role = Field(description="Who speaks.")
    content: str | PartSchemas | None = Field(
        default=None,
        description="What is said: a text, or a list of parts. A template. Only an assistant that calls tools may say "
        "nothing.",
    )
    tool_calls: Annotated[tuple[CallSchema, ...], Field(min_length=1)] | None = Field(
        default=None, description="The tools that the assistant calls in it."
    )
    tool_call_id: Text | None = Field(
        default=None, description="The id of the call that a tool's message answers. Left out: the first open call."
    )
    name: Text | None = Field(default=None, description="The tool whose result a message is.")


Size = Annotated[str, Field(min_length=1), WithJsonSchema({"type": ["string", "integer"], "minLength": 1})]
"""A number of tokens such as `10000` or `10k`; a single size may be a template that produces it."""


class InputSchema(StrictModel):
    """A text that is cut to a number of tokens for each target."""

    tokens: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=100)] = Field(
        description="How many tokens the request has, such as 10000 or 10k; of a list, one case for each."
    )
    text: Text | None = Field(
        default=None,
        description="A text file beside or below the suite. Left out: a built-in novel. It begins again where it ends.",
    )
