"""JUnit XML of a run's checks, which CI servers show as tests: a suite for each target, a test for each case.

A failed check is a failure and a failed request an error. An undecided check is skipped, so that it does not count as
passed. A case without checks is not a test. A test's time is the total time of its requests; it is absent if none was
measured. The elements and attributes are those that Jenkins' xUnit plugin accepts (its schema junit-10).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from runner.analysis.check_results import CheckedCell
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run
from runner.analysis.summary import Failure
from runner.checks.check_finding import CheckVerdict
from runner.outputs.text.checks import describe_cell, describe_fault
from runner.outputs.text.escape import xml_text
from runner.outputs.text.run_remarks import describe_failure, describe_notices

_TAGS = {CheckVerdict.FAILED: "failure", CheckVerdict.UNDECIDED: "skipped"}


def write(run: Run) -> str:
    """Return the XML document of a run's checks."""
    suites = [_suite(run, target) for target in run.targets]
    return write_document(f"compare run: {run.header.suite}", suites)


def join(*documents: str) -> str:
    """Return one XML document with the suites of several."""
    roots = [ET.fromstring(document) for document in documents]  # noqa: S314 -- written by this package
    return write_document(
        ", ".join(str(root.get("name")) for root in roots), [suite for root in roots for suite in root]
    )


def write_document(name: str, suites: Iterable[ET.Element]) -> str:
    """Return an XML document with these suites and the sums of their counts and times."""
    root = ET.Element("testsuites", name=xml_text(name))
    root.extend(suites)
    for suite in root:
        suite.attrib |= _counts(suite)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    times_s = [float(time) for suite in root if (time := suite.get("time"))]
    if times_s:
        root.set("time", f"{math.fsum(times_s):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(suite: ET.Element) -> dict[str, str]:
    tests = suite.findall("testcase")
    results = Counter(result.tag for test in tests for result in test)
    counts = {"failures": results["failure"], "errors": results["error"], "skipped": results["skipped"]}
    return {name: str(count) for name, count in {**counts, "tests": len(tests)}.items()}


def add_properties(suite: ET.Element, notes: Mapping[str, str]) -> None:
    """Add notes on a suite, name -> text; an element without any would be invalid."""
    if notes:
        properties = ET.SubElement(suite, "properties")
        for name, note in notes.items():
            ET.SubElement(properties, "property", name=name, value=xml_text(note))


def _suite(run: Run, target: MeasuredTarget) -> ET.Element:
    suite = ET.Element("testsuite", name=xml_text(str(target)), timestamp=run.header.started_at[:19])
    add_properties(suite, describe_notices(run))
    cells = [cell for cell in run.checked if cell.target == target]
    suite.extend(_test(cell, run.header.path) for cell in cells)
    times_s = [cell.seconds for cell in cells if cell.seconds is not None]
    if times_s:
        suite.set("time", f"{math.fsum(times_s):.3f}")
    suite.extend(_error(failure) for failure in run.failures if failure.target == target)
    return suite


def _test(cell: CheckedCell, suite_file: str | None) -> ET.Element:
    test = ET.Element("testcase", classname=xml_text(str(cell.target)), name=xml_text(cell.case))
    if cell.seconds is not None:
        test.set("time", f"{cell.seconds:.3f}")
    if cell.verdict in _TAGS:
        result = ET.SubElement(test, _TAGS[cell.verdict], message=xml_text(describe_cell(cell)))
        place = f"{suite_file}:{cell.line}" if suite_file else f"line {cell.line} of the suite"
        lines = [*map(describe_fault, cell.faults), *([] if cell.line is None else [place])]
        result.text = xml_text("\n".join(lines))
    else:
        ET.SubElement(test, "system-out").text = xml_text(describe_cell(cell))
    return test


def _error(failure: Failure) -> ET.Element:
    test = ET.Element("testcase", classname=xml_text(str(failure.target)), name=f"requests: {failure.outcome}")
    error = ET.SubElement(test, "error", type=failure.outcome, message=xml_text(describe_failure(failure)))
    error.text = xml_text(failure.error or "")
    return test
