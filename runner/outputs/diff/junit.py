"""A comparison as JUnit XML, which CI servers show as tests: a suite a target, a test a measure.

A regression is a failure; what is undecided is skipped, so that nobody takes it for passed.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from runner.analysis.diff import Difference, DiffFinding
from runner.analysis.verdict import Verdict
from runner.outputs.diff import phrases

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def write(difference: Difference) -> str:
    """Write one document."""
    root = ET.Element("testsuites", {"name": f"compare diff: {difference.verdict}", **_totals(difference.findings)})
    for target in phrases.targets(difference):
        findings = [finding for finding in difference.findings if finding.target == target]
        if findings:
            root.append(_suite(target, findings, difference))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(target: str, findings: list[DiffFinding], difference: Difference) -> ET.Element:
    suite = ET.Element("testsuite", {"name": _fit(target), **_totals(findings)})
    properties = ET.SubElement(suite, "properties")
    facts = (*phrases.sides(difference), phrases.kind(difference), phrases.demands(difference), *difference.warnings)
    for at, fact in enumerate(facts, start=1):
        ET.SubElement(properties, "property", name=f"note {at}", value=_fit(fact))
    suite.extend(_case(finding, difference) for finding in findings)
    return suite


def _totals(findings: Sequence[DiffFinding]) -> dict[str, str]:
    verdicts = [finding.verdict for finding in findings]
    return {
        "tests": str(len(verdicts)),
        "failures": str(verdicts.count(Verdict.REGRESSED)),
        "errors": "0",
        "skipped": str(verdicts.count(Verdict.UNDECIDED)),
    }


def _case(finding: DiffFinding, difference: Difference) -> ET.Element:
    case = ET.Element("testcase", classname=_fit(finding.target), name=finding.measure.name, time="0")
    said = _fit(", ".join(f"{name} {cell}" for name, cell in zip(_NAMES, phrases.cells(finding), strict=True)))
    if finding.verdict is Verdict.REGRESSED:
        ET.SubElement(case, "failure", type=finding.verdict.value, message=said).text = said
    if finding.verdict is Verdict.UNDECIDED:
        ET.SubElement(case, "skipped", message=_fit(phrases.describe_doubt(finding, difference) or said))
    ET.SubElement(case, "system-out").text = said
    return case


_NAMES = phrases.FINDING_HEADINGS


def _fit(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
