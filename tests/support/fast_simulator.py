"""The simulator of runs in tests: its personas behave as usual, in a fraction of their time.

Otherwise the tests would wait for them for minutes. Numbers in a model's name, such as `sim/exact?ttft_ms=20`, are
kept.
"""

import sys
from dataclasses import replace

from runner.simulator import model_names
from runner.simulator.__main__ import main
from runner.simulator.persona import EXACT, PERSONAS, Delay, Persona

TIMES_FASTER = 5


def _faster(persona: Persona) -> Persona:
    caching = persona.caching and replace(persona.caching, token_ns=persona.caching.token_ns // TIMES_FASTER)
    return replace(persona, first=_shorter(persona.first), gap=_shorter(persona.gap), caching=caching)


def _shorter(delay: Delay) -> Delay:
    return replace(delay, median_ns=delay.median_ns // TIMES_FASTER)


if __name__ == "__main__":
    PERSONAS.update({name: _faster(persona) for name, persona in PERSONAS.items()})
    vars(model_names)["EXACT"] = _faster(EXACT)
    model_names.parse_model.cache_clear()  # the parent process had already parsed names before the fork
    sys.exit(main())
