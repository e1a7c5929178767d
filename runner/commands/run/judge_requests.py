"""Send requests to a judge as a run of their own, whose lines are in the journal of the judged run.

The requests about a suite's rubrics start after the last measured one, and are not part of any figure. Answered
requests are not sent again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.checks.rubric import judged_text
from runner.commands.run.open_run import start_senders
from runner.commands.run.options import RunOptions
from runner.commands.run.prepared_run import PreparedJudge, PreparedRun
from runner.core.conversation_state import Conversation, EarlierReply, conversation_of, earlier_reply, is_last_turn
from runner.core.events import TIMED
from runner.core.judge_prompt import PROMPT_VERSION, rubric_prompt
from runner.core.non_default_fields import non_default_fields
from runner.core.record import Record
from runner.core.suite import Case, Parameters, Suite
from runner.engine.run_observers import CompositeObserver, Observer
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.planning.target_patterns import SelectedTargets
from runner.storage import journal
from runner.storage.journal import Journal, JournalWriter, encode_record
from runner.storage.journal.writer import JudgeLog
from runner.storage.resume_state import FINAL

if TYPE_CHECKING:
    from runner.engine.run_observers import StopRule


@dataclass(frozen=True, slots=True)
class JudgeQuestion:
    """A question to a judge, and the journal line that links it to its subject, still without the request's key."""

    about: str
    """Id of the case that the question is about."""
    prompt: str
    link: Mapping[str, object]

    def request_to(self, judge: Target) -> Request:
        """Return the request to a judge; questions of equal content get the same key."""
        digest = sha256(self.prompt.encode(errors="surrogatepass")).hexdigest()[:8]
        return Request(judge, Case(f"{self.about} {digest}", (self.prompt,)), repeat=1, block=1)


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """Questions to a judge that a journal has no answer to, and links missing in it for answered questions."""

    requests: tuple[Request, ...]
    links: Mapping[str, Sequence[Mapping[str, object]]]
    """Key of a request -> the journal lines that link it to its subjects."""
    answered: tuple[Mapping[str, object], ...]


def find_open(journal: Journal, judge: Target, questions: Iterable[JudgeQuestion]) -> OpenQuestions:
    """Return the open questions; a request that the journal holds without a final outcome is open."""
    answered = {key for key, record in journal.judge_records.items() if record.outcome in FINAL}
    written = {json.dumps(line, sort_keys=True) for line in journal.lines("judgement", "preference")}
    requests: dict[str, Request] = {}
    links: dict[str, list[Mapping[str, object]]] = {}
    missing = []
    for question in questions:
        request = question.request_to(judge)
        link = {**question.link, "by": request.key}
        if request.key not in answered:
            requests[request.key] = request
            links.setdefault(request.key, []).append(link)
        elif json.dumps(link, sort_keys=True) not in written:
            missing.append(link)
    return OpenQuestions(tuple(requests.values()), links, tuple(missing))


def judge_line(judge: PreparedJudge, at: datetime, criteria: str | None = None) -> dict[str, Any]:
    """Return the journal line of a judge. Equal target, parameters, criteria and prompts give an equal id."""
    settings, plain = _settings_of(judge.target.parameters), {"target": judge.target.name, "criteria": criteria}
    content = {**plain, "settings": settings, "prompt_version": PROMPT_VERSION}
    digest = sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]
    price = None if judge.price is None else judge.price.to_plain()
    return {"kind": "judge", "id": digest, **content, "price": price, "at": at.isoformat(timespec="milliseconds")}


def _settings_of(parameters: Parameters) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, as plain data."""
    changed = non_default_fields(parameters).items()
    return {name: asdict(value) if name == "timeouts" else value for name, value in changed}


def judging_run(
    suite: Suite,
    folder: Path,
    judge: PreparedJudge,
    requests: Sequence[Request],
    *,
    options: RunOptions,
    started: datetime,
) -> PreparedRun:
    """Return the run of a judge's requests on the run in a folder; of the options, concurrency and budgets apply."""
    return PreparedRun(
        suite=suite,
        plan=Plan(tuple(request.case for request in requests), (judge.target,)),
        selected=SelectedTargets((judge.target,), {judge.target.provider: judge.endpoint}, judge.notes),
        folder=folder,
        options=RunOptions(concurrency=options.concurrency, budgets=options.budgets, spell=options.spell),
        outputs=(),
        prices=judge.prices,
        started=started,
    )


async def ask_judge(
    judging: PreparedRun,
    writer: JournalWriter,
    open_questions: OpenQuestions,
    observer: Observer,
    *,
    paid: PreparedRun,
    earlier: Iterable[Record] = (),
) -> bool:
    """Write the missing links of answered questions, send the open requests; return False if it was interrupted.

    Args:
        judging: the run of the judge's requests.
        writer: writer of the judged run's journal.
        open_questions: the questions, and the links of each request.
        observer: notified of the requests.
        paid: the run whose budgets apply.
        earlier: records that the budgets have paid for already.

    """
    for link in open_questions.answered:
        writer.append(link)
    if not open_questions.requests:
        return True
    log, rule = JudgeLog(writer, open_questions.links), _budget_rule(judging, paid, earlier)
    observers = observer if rule is None else CompositeObserver((observer, rule))
    observers.planned(judging.plan)
    async with start_senders(judging, log, observers) as senders:
        from runner.engine.run import send_plan  # brings the SDK

        return await send_plan(judging.plan, senders, log, stop=rule)


def _budget_rule(judging: PreparedRun, paid: PreparedRun, earlier: Iterable[Record]) -> "StopRule | None":
    """Return the rule that stops a judge before a run's budgets are exceeded; None if the run has no budget."""
    if not paid.options.budgets:
        return None
    from runner.commands.run.stop_rules import stop_rule  # brings numpy

    rule = stop_rule(judging.plan, paid.forecast, budgets=paid.options.budgets, spell=paid.options.spell)
    assert rule is not None
    for record in earlier:
        rule.finished(record)
    return rule


async def judge_rubrics(prepared: PreparedRun, observer: Observer) -> bool:
    """Send the requests that the journal has no answer to; return False if it was interrupted.

    A replay sends nothing: it copies the answers of the recorded run's judge to the same questions.
    """
    if not any(case.rubrics for case in prepared.suite.cases):
        return True
    log = journal.read(prepared.folder)
    questions = list(_questions(prepared, log))
    if prepared.replay_source is not None:
        _copy_answers(prepared, log, questions)
        return True
    judge = prepared.judge
    if judge is None:
        return True
    left = find_open(log, judge.target, questions)
    if not left.requests and not left.answered:
        return True
    with journal.JournalWriter(prepared.folder, prepared.redactor.by_value) as writer:
        started = datetime.now().astimezone()
        if left.requests:
            writer.append(judge_line(judge, started))
        earlier = chain(log.records, log.judge_records.values())
        judging = judging_run(
            prepared.suite, prepared.folder, judge, left.requests, options=prepared.options, started=started
        )
        return await ask_judge(judging, writer, left, observer, paid=prepared, earlier=earlier)


def _questions(prepared: PreparedRun, log: journal.Journal) -> Iterator[JudgeQuestion]:
    """Yield a question for each rubric and each answered last turn of a case that has rubrics."""
    cases = {case.id: case for case in prepared.plan.cases if case.rubrics}
    targets = {target.name: target for target in prepared.plan.targets}
    replies: dict[Conversation, dict[int, EarlierReply]] = {}
    for record in log.records:
        identity = record.identity
        case, target = cases.get(identity.case), targets.get(identity.target)
        if case is None or target is None or record.warmup or record.outcome not in TIMED:
            continue
        earlier = replies.setdefault(conversation_of(record), {})
        if not is_last_turn(case.steps, record):
            earlier[identity.turn] = earlier_reply(record)
            continue
        if (reply := judged_text(record)) is None:
            continue
        before_it = tuple(earlier[turn] for turn in sorted(earlier))
        before = list(Request(target, case, repeat=1, block=1, replies=before_it).conversation())
        for rubric in case.rubrics:
            link = {"kind": "judgement", "key": identity.key, "rubric": rubric}
            yield JudgeQuestion(case.id, rubric_prompt(rubric, before, reply), link)


def _copy_answers(prepared: PreparedRun, log: journal.Journal, questions: list[JudgeQuestion]) -> None:
    """Append the recorded run's answers to equal questions to the journal."""
    assert prepared.replay_source is not None
    source = journal.read(prepared.replay_source.folder)
    answered: dict[str, Record] = {record.identity.prompt: record for record in source.judge_records.values()}
    there = set(log.judge_records)
    with journal.JournalWriter(prepared.folder, prepared.redactor.by_value) as writer:
        for question in questions:
            record = answered.get(question.prompt)
            if record is None:
                continue
            if record.identity.key not in there:
                there.add(record.identity.key)
                writer.append({**encode_record(record), "kind": "judge_record"})
            writer.append({**question.link, "by": record.identity.key})
