"""What the requests of a batch ask of a model beside their messages: taken where all of them agree."""

import json
from dataclasses import dataclass, field

from runner.document import Json, document_of, validate
from runner.errors import InvalidFile
from runner.suite.conversation import NotTaken
from runner.suite.imports.draft import Draft, ImportSource
from runner.suite.schema import WrittenDefaults

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
}
"""Their name -> ours; other keys go into `extra_body`."""

OURS = frozenset({"messages", "stream", "stream_options"})
"""Keys that compare sets itself."""


@dataclass(slots=True)
class Settings:
    """Hears the bodies of requests, one by one."""

    _bodies: list[ImportSource] = field(default_factory=list)

    def hear(self, body: ImportSource) -> None:
        """Take a body in."""
        self._bodies.append(body)

    def agreed(self, draft: Draft) -> dict[str, Json]:
        """Return a suite's defaults of what all bodies agree on; note what they do not."""
        defaults: dict[str, Json] = {}
        extra: dict[str, Json] = {}
        for key, sources in self._by_key().items():
            values = {json.dumps(source.data, sort_keys=True) for source in sources}
            if key == "model":
                for source in sources:
                    draft.leave(source, _model_left(str(source.data)))
            elif len(values) > 1 or len(sources) < len(self._bodies):
                what = f"`{key}` is not the same in all requests"
                draft.leave(sources[0], NotTaken(what, "Write it for single targets, or split the file"))
            elif key in PARAMETERS and not_a_parameter(PARAMETERS[key], sources[0].data) is None:
                defaults[PARAMETERS[key]] = sources[0].data
            else:
                extra[key] = sources[0].data
        return defaults | ({"extra_body": extra} if extra else {})

    def _by_key(self) -> dict[str, list[ImportSource]]:
        by_key: dict[str, list[ImportSource]] = {}
        for body in self._bodies:
            assert isinstance(body.data, dict)
            for key in body.data.keys() - OURS:
                by_key.setdefault(key, []).append(body.at(key))
        return dict(sorted(by_key.items()))


def _model_left(model: str) -> NotTaken:
    return NotTaken(
        f"`model: {model}` does not tell whose model it is", "Name it on the command line: -m PROVIDER/MODEL"
    )


def not_a_parameter(name: str, value: Json) -> NotTaken | None:
    """Return why a value cannot be that of a parameter of ours; None if it can."""
    try:
        validate(document_of({name: value}, "", 1), WrittenDefaults)
    except InvalidFile as error:
        return NotTaken(error.problems[0].what, error.problems[0].hint)
    return None
