"""JSON of a comparison for programs: every figure unrounded, every reply whole. What is absent is null."""

import json
from dataclasses import asdict

from runner.analysis.diff import Difference, DiffFinding
from runner.outputs.text.escape import escape_surrogates


def write(difference: Difference) -> str:
    """Return one JSON document."""
    document = {
        "verdict": difference.verdict,
        **asdict(difference),
        "findings": [_flatten(finding) for finding in difference.findings],
    }
    return escape_surrogates(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def _flatten(finding: DiffFinding) -> dict[str, object]:
    """Return a finding with its measure and ruling on one level with the figures."""
    plain = asdict(finding)
    ruling = plain.pop("ruling")
    measure = finding.measure
    return {**plain, "measure": measure.name, "unit": measure.unit, "better": measure.better, **ruling}
