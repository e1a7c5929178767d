"""A run's checks as JUnit XML, which CI servers show as tests: a suite a target, a test a case.

A check that failed is a failure, a request that failed an error, and what is not decided is skipped, so that nobody
takes it for passed. A case that demands nothing is not a test.
"""

import re
from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from runner.analysis.checks import CheckedCell
from runner.analysis.places import MeasuredTarget
from runner.analysis.run import Run
from runner.analysis.summary import Failure
from runner.checks.finding import CheckVerdict
from runner.outputs.text.checked import describe_cell, describe_fault
from runner.outputs.text.overview import banner, describe_failure, partial

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""

_TAGS = {CheckVerdict.FAILED: "failure", CheckVerdict.UNDECIDED: "skipped"}


def write(run: Run) -> str:
    """Write one document."""
    return _document(f"compare run: {run.header.suite}", [_suite(run, target) for target in run.targets])


def join(*documents: str) -> str:
    """Make one document of several: their suites one after another."""
    roots = [ET.fromstring(document) for document in documents]  # noqa: S314 -- our own writers' text
    return _document(", ".join(str(root.get("name")) for root in roots), [suite for root in roots for suite in root])


def _document(name: str, suites: Iterable[ET.Element]) -> str:
    root = ET.Element("testsuites", name=_fit(name))
    root.extend(suites)
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(run: Run, target: MeasuredTarget) -> ET.Element:
    suite = ET.Element("testsuite", name=_fit(str(target)), timestamp=run.header.started_at[:19])
    notices = {"partial": partial(run), "simulated": banner(run)}
    if any(notices.values()):
        properties = ET.SubElement(suite, "properties")
        for word, sentence in notices.items():
            if sentence:
                ET.SubElement(properties, "property", name=word, value=_fit(sentence))
    suite.extend(_test(cell) for cell in run.checked if cell.target == target)
    suite.extend(_error(failure) for failure in run.failures if failure.target == target)
    counts = Counter(result.tag for test in suite.iter("testcase") for result in test)
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    suite.attrib |= {total: str(counts[tag]) for total, tag in tags.items()}
    suite.set("tests", str(len(suite.findall("testcase"))))
    return suite


def _test(cell: CheckedCell) -> ET.Element:
    test = ET.Element("testcase", classname=_fit(str(cell.target)), name=_fit(cell.case), time="0")
    if cell.line is not None:
        test.set("line", str(cell.line))
    if cell.verdict in _TAGS:
        result = ET.SubElement(test, _TAGS[cell.verdict], message=_fit(describe_cell(cell)))
        result.text = _fit("\n".join(map(describe_fault, cell.faults)))
    else:
        ET.SubElement(test, "system-out").text = _fit(describe_cell(cell))
    return test


def _error(failure: Failure) -> ET.Element:
    test = ET.Element("testcase", classname=_fit(str(failure.target)), name=f"requests: {failure.outcome}", time="0")
    error = ET.SubElement(test, "error", type=failure.outcome, message=_fit(describe_failure(failure)))
    error.text = _fit(failure.error or "")
    return test


def _fit(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
