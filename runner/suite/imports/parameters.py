"""Import the parameters of OpenAI requests: those that all requests of a batch share become defaults of the suite."""

import json
from dataclasses import dataclass, field

from runner.document import Json, document_of, validate
from runner.errors import InvalidFile
from runner.suite.batch_rows import CASE_KEYS, PARAMETERS, RESERVED_KEYS
from runner.suite.imports.draft import Draft, ImportSource
from runner.suite.openai_messages import NotImportable
from runner.suite.schema import DefaultsSchema


@dataclass(slots=True)
class BatchParameters:
    """Collects the bodies of a batch's requests."""

    _bodies: list[ImportSource] = field(default_factory=list)

    def add(self, body: ImportSource) -> None:
        """Add the body of a request."""
        self._bodies.append(body)

    def common_defaults(self, draft: Draft) -> dict[str, Json]:
        """Return a suite's defaults with the values that all bodies share; note the others as skipped."""
        defaults: dict[str, Json] = {}
        extra: dict[str, Json] = {}
        for key, sources in self._by_key().items():
            values = {json.dumps(source.data, sort_keys=True) for source in sources}
            if key == "model":
                for source in sources:
                    draft.skip(source, _skipped_model(str(source.data)))
            elif len(values) > 1 or len(sources) < len(self._bodies):
                what = f"`{key}` is not the same in all requests"
                draft.skip(sources[0], NotImportable(what, "Write it for single targets, or split the file"))
            elif key in PARAMETERS and parameter_fault(PARAMETERS[key], sources[0].data) is None:
                defaults[PARAMETERS[key]] = sources[0].data
            else:
                extra[key] = sources[0].data
        return defaults | ({"extra_body": extra} if extra else {})

    def _by_key(self) -> dict[str, list[ImportSource]]:
        by_key: dict[str, list[ImportSource]] = {}
        for body in self._bodies:
            assert isinstance(body.data, dict)
            for key in body.data.keys() - RESERVED_KEYS - {*CASE_KEYS}:
                by_key.setdefault(key, []).append(body.at(key))
        return dict(sorted(by_key.items()))


def _skipped_model(model: str) -> NotImportable:
    return NotImportable(
        f"`model: {model}` does not tell whose model it is", "Name it on the command line: -m PROVIDER/MODEL"
    )


def parameter_fault(name: str, value: Json) -> NotImportable | None:
    """Return why a suite's parameter cannot have a value; None if it can."""
    try:
        validate(document_of({name: value}, "", 1), DefaultsSchema)
    except InvalidFile as error:
        return NotImportable(error.problems[0].what, error.problems[0].hint)
    return None
