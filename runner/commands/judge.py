"""`compare judge`: have a model compare the replies of a finished run in pairs, each pair in both orders.

Its requests and answers are appended to the run's journal. Answered requests are not sent again, so the same command
continues an interrupted judging.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from runner.analysis.judge import ReplyPair, list_pairs
from runner.analysis.run_results import Run
from runner.checks.rubric import judged_text
from runner.commands.allowed_hosts import AskUser
from runner.commands.load_stored_run import find_folder, load_run
from runner.commands.plan import as_if_keys_set
from runner.commands.providers import load_registry
from runner.commands.run.judge_requests import (
    JudgeQuestion,
    OpenQuestions,
    ask_judge,
    find_open,
    judge_line,
    judging_run,
)
from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import RunOptions
from runner.commands.run.prepare import PrepareContext, prepare_judge
from runner.commands.run.prepared_run import PreparedJudge, PreparedRun
from runner.core.conversation_state import Conversation, conversation_of
from runner.core.judge_prompt import CRITERIA, pair_prompt
from runner.core.record import Record
from runner.core.suite import Case, Message, Parameters, Suite, SuiteTarget
from runner.engine.run_observers import Observer
from runner.errors import CompareError, ErrorCollector, MissingKey
from runner.outputs import find_writer
from runner.outputs.judge import JUDGE_WRITERS
from runner.planning.request import Target
from runner.providers.registry import Registry
from runner.storage import journal
from runner.storage.atomic_write import write_by_suffix
from runner.storage.run_folder import REPORT, SUMMARY_PAGE, FolderClaim, check_outputs, claim_folder

VIEWS = (SUMMARY_PAGE, REPORT)
"""Files of a run that show the judge's results."""


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """The options of a judging: the judge, the criteria, and the choice of pairs."""

    by: str
    """The judge, as provider/model."""
    criteria: str = CRITERIA
    pairs: int | None = None
    """Number of pairs to judge, chosen at random; None for all."""
    seed: int = 0
    """Seed of the choice of pairs."""
    parameters: Parameters = field(default_factory=Parameters)
    """Parameters of the judge's requests."""
    run: RunOptions = field(default_factory=RunOptions)
    """Options of the run of the judge's requests: budgets, concurrency, env files and allowed hosts."""


@dataclass(frozen=True, slots=True)
class PreparedJudging:
    """A judging that is ready to start; possibly one without open requests."""

    run: PreparedRun
    """Run of the judge's open requests."""
    folder: Path
    line: Mapping[str, object]
    """Journal line that starts the judging."""
    questions: OpenQuestions
    equal: tuple[Mapping[str, object], ...]
    """Journal lines of pairs of equal replies, for which no request is sent."""
    pairs: int
    of_pairs: int
    earlier: tuple[Record, ...]
    """Records of the same judging that the journal holds already."""
    context: str | None = None
    """Note on context that the judge does not see; None if it sees everything that the targets saw."""
    missing_key: str | None = None
    """Why the judge could not be asked, if this is only a plan and it has no key."""

    @property
    def judge(self) -> str:
        """Name of the judge as a target, with the provider's id rather than an alias."""
        return str(self.line["target"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user before the judging starts, a sentence each."""
        return (*self.run.notes, *([] if self.context is None else [self.context]))


def read_criteria(path: Path) -> str:
    """Return the criteria in a file.

    Raises:
        CompareError: the file cannot be read, or is empty.

    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CompareError(f"{path} cannot be read: {error}. Name a text file in UTF-8") from error
    if not text:
        raise CompareError(f"{path} is empty. Write by what replies are to be compared")
    return text


def prepare_judging(
    name: Path,
    options: JudgeOptions,
    *,
    sends: bool = True,
    ask: AskUser | None = None,
    outputs: Sequence[Path] = (),
    reads: Sequence[Path] = (),
) -> PreparedJudging:
    """Return a judging of a run that is ready to start.

    Args:
        name: the run.
        options: the options of the judging.
        sends: whether requests will follow; if not, the judge needs no key.
        ask: asks the user about hosts that are not allowed, and raises the refusal if the answer is no.
        outputs: files that the results will be written to.
        reads: files that the judging reads beside the run, which no output may replace.

    Raises:
        CompareError: there is no such run, it has no pairs to compare, an output cannot be written, or the judge cannot
            be asked.

    """
    errors = ErrorCollector()
    target = errors.attempt(_parse_judge, options)
    folder = errors.attempt(find_folder, name)
    errors.attempt(check_outputs, outputs, JUDGE_WRITERS, reads=[name, *reads])
    errors.raise_collected()
    assert target is not None
    assert folder is not None
    log = journal.read(folder)
    pairs, of_pairs = _choose_pairs(log, options)
    suite, registry, context = _find_context(log)
    sent = (*suite.cases, Case("criteria", (options.criteria,)))  # like a prompt, the criteria must not hold a secret
    alone = replace(suite, cases=sent, judge=target)
    started = datetime.now().astimezone()
    preparing = PrepareContext.of(alone, registry, options.run, sends=sends, ask=ask)
    judge, missing_key = _prepare_judge(alone, preparing, started)
    line = judge_line(judge, started, options.criteria)
    questions, equal = _ask_about(pairs, log, suite, options.criteria, str(line["id"]))
    left = find_open(log, judge.target, questions)
    written = {(each["first"], each["second"]) for each in log.lines("preference") if each["judge"] == line["id"]}
    run = judging_run(alone, folder, judge, left.requests, options=options.run, started=started)
    return PreparedJudging(
        run=run,
        folder=folder,
        line=line,
        questions=left,
        equal=tuple(each for each in equal if (each["first"], each["second"]) not in written),
        pairs=len(pairs),
        of_pairs=of_pairs,
        earlier=_earlier(log, judge.target, questions),
        context=context,
        missing_key=missing_key,
    )


def _prepare_judge(suite: Suite, context: PrepareContext, started: datetime) -> tuple[PreparedJudge, str | None]:
    """Return a suite's judge, and why it could not be asked if this is only a plan and it has no key."""
    missing_key: str | None = None
    try:
        judge = prepare_judge(suite, context, started)
    except MissingKey as error:
        if context.sends:
            raise
        assert suite.judge is not None
        missing_key = str(error)
        registry = as_if_keys_set(context.registry, [suite.judge.provider])
        judge = prepare_judge(suite, replace(context, registry=registry), started)
    assert judge is not None, "a missing key was not to be skipped"
    return judge, missing_key


def _parse_judge(options: JudgeOptions) -> SuiteTarget:
    provider, slash, model = options.by.partition("/")
    if not (provider and slash and model):
        example = options.run.spell("by", "deepseek/deepseek-flash")
        raise CompareError(f"{options.by!r} names no judge. Write provider/model, such as {example}")
    return SuiteTarget(provider, (model,), options.parameters)


def _choose_pairs(log: journal.Journal, options: JudgeOptions) -> tuple[list[ReplyPair], int]:
    """Return the pairs of replies to judge, and the number of all pairs."""
    pairs, of_pairs = list_pairs(log.records, log.header.checks, options.pairs, options.seed)
    if not pairs:
        raise CompareError(
            f"{log.header.run_id} has no two replies of different targets to one question: ask two targets"
        )
    return pairs, of_pairs


def _find_context(log: journal.Journal) -> tuple[Suite, Registry, str | None]:
    """Return the suite of a run, its providers and None; a suite without cases and a note if the file has changed."""
    header = log.header
    why = "was not made from a file"
    if header.path is not None and Path(header.path).is_file():
        suite, registry = load_suite(Path(header.path))
        if suite.digest == header.digest:
            return suite, registry, None
        why = "has changed since"
    elif header.path is not None:
        why = f"is not at {header.path} any more"
    note = f"the suite of {header.run_id} {why}: the judge sees prompts and replies, no system message and no history"
    return Suite(header.suite, (), header.digest), load_registry(Path.cwd()), note


def _ask_about(
    pairs: Iterable[ReplyPair], log: journal.Journal, suite: Suite, criteria: str, judge: str
) -> tuple[list[JudgeQuestion], list[dict[str, object]]]:
    """Return two questions for each pair, one per order, and the journal lines of pairs of equal replies."""
    dialogues = _Dialogues(log)
    given = {case.id: case.messages_before(suite.parameters) for case in suite.cases}
    questions, equal = list[JudgeQuestion](), list[dict[str, object]]()
    for pair in pairs:
        for first, second in ((pair.first, pair.second), (pair.second, pair.first)):
            link = {"kind": "preference", "judge": judge, "first": first.identity.key, "second": second.identity.key}
            if judged_text(first) == judged_text(second):
                equal.append({**link, "by": None})
                continue
            case = first.identity.case
            before = [*given.get(case, ()), dialogues.opening(first)]
            prompt = pair_prompt(criteria, before, dialogues.replies(first), dialogues.replies(second))
            questions.append(JudgeQuestion(case, prompt, link))
    return questions, equal


class _Dialogues:
    """The turns of a run's conversations, used to show a reply with the earlier turns."""

    def __init__(self, log: journal.Journal) -> None:
        self._turns: dict[Conversation, dict[int, tuple[str, str]]] = {}
        for record in log.records:
            turns = self._turns.setdefault(conversation_of(record), {})
            turns[record.identity.turn] = record.identity.prompt, judged_text(record) or ""

    def _until(self, record: Record) -> Iterator[tuple[str, str]]:
        turns = self._turns[conversation_of(record)]
        return (turns[number] for number in sorted(turns) if number <= record.identity.turn)

    def opening(self, record: Record) -> Message:
        """Return the user's first message of a conversation."""
        return Message("user", next(self._until(record))[0])

    def replies(self, record: Record) -> list[Message]:
        """Return the messages of a conversation from its first reply up to the reply of a record."""
        messages: list[Message] = []
        for prompt, reply in self._until(record):
            messages += [Message("user", prompt), Message("assistant", reply)]
        return messages[1:]


def _earlier(log: journal.Journal, judge: Target, questions: Iterable[JudgeQuestion]) -> tuple[Record, ...]:
    asked = {question.request_to(judge).key for question in questions}
    return tuple(record for key, record in log.judge_records.items() if key in asked)


async def perform_judging(prepared: PreparedJudging, observer: Observer | None = None) -> bool:
    """Send the open requests, and rewrite the run's Markdown and page; return False if it was interrupted.

    Raises:
        JournalError: another process writes to the run.

    """
    log = journal.read(prepared.folder)
    claim = claim_folder(prepared.folder, log)
    try:
        finished = await _ask(prepared, claim, observer or Observer())
        _write_views(prepared.folder)
    finally:
        claim.release()
    return finished


async def _ask(prepared: PreparedJudging, claim: FolderClaim, observer: Observer) -> bool:
    left = prepared.questions
    if not (left.requests or left.answered or prepared.equal):
        return True
    with claim.open(prepared.run.redactor.by_value) as writer:
        for line in (prepared.line, *prepared.equal):
            writer.append(line)
        return await ask_judge(prepared.run, writer, left, observer, paid=prepared.run, earlier=prepared.earlier)


def _write_views(folder: Path) -> None:
    run = load_run(folder)
    write_by_suffix([folder / name for name in VIEWS], lambda suffix: find_writer(suffix)(run))


def count_open(name: Path, options: JudgeOptions) -> int:
    """Return the number of requests of a judging that have no answer yet."""
    return len(prepare_judging(name, options, sends=False).questions.requests)


def has_verdict(name: Path, judging: str) -> bool:
    """Return whether any pair of a judging, named by its id, is decided."""
    return any(each.id == judging and each.undecided < each.pairs for each in load_run(name).judged)


def load_judged(name: Path, outputs: Sequence[Path] = ()) -> Run:
    """Return a run whose replies a judge has compared; `outputs` are the files that the results will be written to.

    Raises:
        CompareError: there is no such run, no judge has compared its replies, or an output cannot be written.

    """
    check_outputs(outputs, JUDGE_WRITERS, reads=[name])
    run = load_run(name)
    if not run.judged:
        raise CompareError(f"no judge has compared the replies of {name} yet. Add --by provider/model")
    return run


def write_judged(run: Run, outputs: Iterable[Path]) -> None:
    """Write the judges' results on a run, as Markdown or JSON by the suffix of each file."""
    write_by_suffix(outputs, lambda suffix: JUDGE_WRITERS[suffix](run.judged, run.header.run_id))
