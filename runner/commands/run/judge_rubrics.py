"""Ask a suite's judge, after the run, whether its replies meet the rubrics.

The judge's requests start after the last measured one, and are not part of any figure. Answered requests are not sent
again.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from runner.checks.rubric import judged_text
from runner.commands.run.ask_judge import (
    JudgeQuestion,
    ask_judge,
    find_open,
    judge_line,
    judging_run,
)
from runner.commands.run.prepared_run import PreparedRun
from runner.core.conversation_state import Conversation, EarlierReply, conversation_of, earlier_reply, is_last_turn
from runner.core.events import TIMED
from runner.core.judge_prompt import rubric_prompt
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.planning.request import Request
from runner.storage import journal
from runner.storage.journal import encode_record


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
        for link in left.answered:
            writer.append(link)
        if not left.requests:
            return True
        started = datetime.now().astimezone()
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
