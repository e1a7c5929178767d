"""The schema of a provider's row: its base URL, the variable with its key, the dialect of its requests, its limits.

Rows of builtin.yaml, of a user's compare.yaml and of a suite's `providers` all have this schema.
"""

import re
from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from runner.core.suite import DEFAULT_API, Api, Thinking
from runner.providers.base_url import parse_base_url

PROVIDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
AUTHORITY_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "proxy-authorization"})
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
KEY_PREFIX = re.compile(r"(?:sk|pk|gsk|hf|r8)_|AIza|eyJ")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _check_base_url(text: str) -> str:
    parse_base_url(text)
    return text


def _check_path(path: str) -> str:
    if re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) is None or {".", ".."} & set(path.split("/")):
        raise ValueError("this is no path on the provider's own host. Write it as /anthropic/v1")
    return path


def _check_variable(name: str) -> str:
    """Return the name of an environment variable.

    Raises:
        ValueError: the text may be a key; the message does not repeat it.

    """
    if not VARIABLE.fullmatch(name) or _may_be_key(name):
        raise ValueError(
            "this looks like a key where the name of an environment variable belongs. "
            "Put the key into a variable, not into a file, and write the variable's name here"
        )
    return name


def _may_be_key(name: str) -> bool:
    """Return whether a word looks like a key: people name variables by words in capitals with underscores."""
    digits = sum(character.isdigit() for character in name)
    in_one_word = "_" not in name and len(name) >= (20 if digits else 32)
    jumbled = not name.isupper() and digits >= 4 and len(name) >= 20
    return bool(KEY_PREFIX.match(name)) or in_one_word or jumbled


def _check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if name.lower() in AUTHORITY_HEADERS:
            raise ValueError(
                f"the header {name.lower()} carries a key. Name the variable that holds the key in api_key_env"
            )
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise ValueError("a header holds something other than printable ASCII. Encode it")
    return headers


BaseUrl = Annotated[str, AfterValidator(_check_base_url)]
ApiPath = Annotated[str, AfterValidator(_check_path)]
Variable = Annotated[str, AfterValidator(_check_variable)]
Variables = Annotated[tuple[Variable, ...], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Headers = Annotated[dict[str, str], AfterValidator(_check_headers)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Page = Annotated[str, Field(pattern=r"^https?://\S+$", max_length=500)]
Parameter = Literal["temperature", "max_tokens", "top_p", "seed", "stop"]
Auth = Literal["bearer", "api-key", "x-api-key"]


class Limits(BaseModel):
    """Limits of one model; those left out are the provider's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    concurrency: PositiveInt | None = Field(default=None, description="Requests to this model in flight at once.")
    requests_per_minute: PositiveInt | None = Field(default=None, description="Requests to this model in a minute.")
    tokens_per_minute: PositiveInt | None = Field(default=None, description="Tokens of this model in a minute.")


ROUTE = "{route}"
"""Placeholder for the vendor in a row's `route`."""


class RouteFields(BaseModel):
    """How a router is told which vendor alone may answer; `{route}` stands for the vendor."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    body: dict[str, JsonValue] = Field(default_factory=dict, description="What to add to the request's body.")
    model_suffix: str | None = Field(
        default=None, max_length=200, description="What to append to the model's name, such as `:{route}`."
    )
    names: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="Vendor -> its names in replies, where these differ in more than case, blanks and punctuation.",
    )

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        if ROUTE not in f"{self.body}{self.model_suffix or ''}":
            raise ValueError("`{route}` is neither in `body` nor in `model_suffix`. Write it where the vendor belongs")
        return self

    def body_for(self, route: str) -> dict[str, object]:
        """Return the fields of a request's body that pin a vendor."""
        return {name: _fill_route(value, route) for name, value in self.body.items()}

    def model_for(self, model: str, route: str) -> str:
        """Return the model's name in a request that pins a vendor."""
        return model + (self.model_suffix or "").replace(ROUTE, route)


def _fill_route(value: JsonValue, route: str) -> JsonValue:
    if isinstance(value, str):
        return value.replace(ROUTE, route)
    if isinstance(value, dict):
        return {name: _fill_route(item, route) for name, item in value.items()}
    return [_fill_route(item, route) for item in value] if isinstance(value, list) else value


class ProviderRow(BaseModel):
    """A provider. The keys in it replace those of the built-in row of the same name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    label: Name | None = Field(default=None, description="The provider's name as people know it.")
    aliases: tuple[Name, ...] = Field(default=(), description="Other names that mean this provider in provider/model.")
    base_url: BaseUrl | None = Field(default=None, description="Where requests go, without /chat/completions.")
    regions: dict[Name, BaseUrl] = Field(
        default_factory=dict, description="Base URLs elsewhere, by name; keys are often valid in one region only."
    )
    region: Name | None = Field(default=None, description="The name in `regions` to use instead of base_url.")
    base_url_env: Variables = Field(
        default=(), description="Environment variables that replace base_url, the first set wins."
    )
    default_path: str | None = Field(default=None, description="Path added to a base URL that has none, such as /v1.")
    api_key_env: Variables = Field(
        default=(),
        description="Name of the environment variable that holds the key, never the key. Of a list the first set wins.",
    )
    keyless: bool = Field(default=False, description="Needs no key, such as a server on your own machine.")
    only_named: bool = Field(
        default=False,
        description="Asked only if it is named or has a row of yours, since its variable often has other uses.",
    )
    api: Api = Field(default=DEFAULT_API, description="The API to use where a target names none.")
    api_paths: dict[Api, ApiPath] = Field(
        default_factory=dict,
        description="API -> the path of its base URL, if it is at another path of the same host.",
    )
    auth: Auth | None = Field(default=None, description="The header that carries the key. Left out: the API's own.")
    headers: Headers = Field(default_factory=dict, description="Further request headers; none may carry a key.")
    models: tuple[Name, ...] = Field(default=(), description="Models asked when none is named.")
    retired: dict[Name, str] = Field(
        default_factory=dict, description="Model name or glob -> a note shown when the model is requested anyway."
    )
    models_endpoint: bool | None = Field(default=None, description="Whether GET /models answers; left out if unknown.")
    stream_options: bool = Field(
        default=True, description="Whether to request token counts with stream_options.include_usage."
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="The field that limits the reply's length here."
    )
    refuses: dict[Parameter, tuple[Name, ...]] = Field(
        default_factory=dict, description="Parameter -> globs of the models that refuse it; it is not sent to them."
    )
    thinking: dict[Thinking, dict[str, JsonValue]] = Field(
        default_factory=dict,
        description="Setting of `thinking` -> what to add to the request's body for it, in the row's own `api`.",
    )
    thinking_always: tuple[Name, ...] = Field(
        default=(), description="Globs of models whose thinking cannot be switched off."
    )
    reasoning_with_calls: Name | None = Field(
        default=None,
        description="The field of an assistant's message that returns its reasoning with its tool calls, if any.",
    )
    route: RouteFields | None = Field(
        default=None, description="How to tell this router a target's `route`; left out if no way is known."
    )
    concurrency: PositiveInt | None = Field(default=None, description="Requests in flight at once, at most.")
    requests_per_minute: PositiveInt | None = Field(default=None, description="Requests started per minute, at most.")
    tokens_per_minute: PositiveInt | None = Field(
        default=None, description="Tokens per minute, sent and received, at most."
    )
    limits: dict[Name, Limits] = Field(
        default_factory=dict,
        description="Model name or glob -> its own lane: concurrency, requests_per_minute, tokens_per_minute.",
    )
    notes: tuple[str, ...] = Field(default=(), description="What to know before comparing this provider with others.")
    unconfirmed: tuple[str, ...] = Field(
        default=(), description="What this row assumes without a vendor's page that confirms it."
    )
    sources: tuple[Page, ...] = Field(default=(), description="Pages on which this row is based.")
    as_of: date | None = Field(default=None, description="The day those pages were last read.")
    simulated: bool = Field(default=False, description="Answers come from a simulator; all output says so.")

    @model_validator(mode="wrap")
    @classmethod
    def _hide_input(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate without the input in errors, since a key may have been written into any field."""
        try:
            return validate(value)
        except ValidationError as error:
            hidden = [
                InitErrorDetails(
                    type=PydanticCustomError(problem["type"], problem["msg"], problem.get("ctx")),
                    loc=problem["loc"],
                    input="(hidden)",
                )
                for problem in error.errors(include_input=False, include_url=False)
            ]
            raise ValidationError.from_exception_data(error.title, hidden, hide_input=True) from None

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the base URL and of the regions."""
        urls = [url for url in (self.base_url, *self.regions.values()) if url is not None]
        return frozenset(parse_base_url(url).host for url in urls)

    def limits_of(self, model: str) -> Limits | None:
        """Return the limits of a model that has its own; None if the provider's apply."""
        return next((limits for glob, limits in self.limits.items() if fnmatchcase(model, glob)), None)

    def merged_onto(self, other: "ProviderRow") -> "ProviderRow":
        """Return the other row with the keys of this one replaced.

        A base URL or region in this row also removes the variables that could replace the base URL. A base URL on
        another host also removes the API paths of the other row.
        """
        update = {name: getattr(self, name) for name in self.model_fields_set}
        if {"base_url", "region"} & update.keys():
            update.setdefault("base_url_env", ())
        if "base_url" in update:
            update.setdefault("region", None)
            if not self.hosts <= other.hosts:
                update.setdefault("api_paths", {})
        return other.model_copy(update=update)


def _check_provider_id(name: str) -> str:
    if not PROVIDER_ID.fullmatch(name):
        raise ValueError("a provider's name is made of letters, digits, dots, dashes and underscores. Write my-gateway")
    return name


ProviderId = Annotated[str, AfterValidator(_check_provider_id)]
ProviderRows = dict[ProviderId, ProviderRow]
"""A `providers` mapping of a suite or a compare.yaml."""
