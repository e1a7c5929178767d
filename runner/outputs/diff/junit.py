"""JUnit XML of a comparison, which CI servers show as tests: a suite for each target, a test for each measure.

A regression is a failure. An undecided row is skipped, so that it does not count as passed.
"""

from xml.etree import ElementTree as ET

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_verdict import Verdict
from runner.outputs.junit import add_properties, write_document
from runner.outputs.text import diff_sentences
from runner.outputs.text.diff_cells import describe_finding
from runner.outputs.text.escape import xml_text
from runner.outputs.text.undecided_reasons import describe_doubt


def write(difference: Difference) -> str:
    """Return the XML document of a comparison."""
    suites = []
    for target in diff_sentences.targets(difference):
        findings = [finding for finding in difference.findings if finding.target == target]
        if findings:
            suites.append(_suite(target, findings, difference))
    return write_document(f"compare diff: {difference.verdict}", suites)


def _suite(target: str, findings: list[DiffFinding], difference: Difference) -> ET.Element:
    suite = ET.Element("testsuite", name=xml_text(target))
    notes = (
        *diff_sentences.describe_sides(difference),
        diff_sentences.describe_pairing(difference),
        diff_sentences.describe_rule(difference),
        *difference.warnings,
    )
    add_properties(suite, {f"note {at}": note for at, note in enumerate(notes, start=1)})
    suite.extend(_test(finding, difference) for finding in findings)
    return suite


def _test(finding: DiffFinding, difference: Difference) -> ET.Element:
    test = ET.Element("testcase", classname=xml_text(finding.target), name=finding.measure.name)
    figures = xml_text(describe_finding(finding, paired=difference.paired))
    if finding.verdict is Verdict.REGRESSED:
        ET.SubElement(test, "failure", type=finding.verdict.value, message=figures).text = figures
    if finding.verdict is Verdict.UNDECIDED:
        doubt = describe_doubt(finding, difference)
        ET.SubElement(test, "skipped", message=xml_text(f"{finding.measure.label}: {doubt}" if doubt else figures))
    ET.SubElement(test, "system-out").text = figures
    return test
