"""Resume a run: read its journal, take over its options, and find the completed part of the plan."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from runner.commands.run.options import LOAD_FIELDS, RunOptions
from runner.core.cluster_node import Node
from runner.core.load_profile import LoadProfile
from runner.core.slo import Slo
from runner.core.suite import Suite
from runner.core.target_name import VARIANT_MARK
from runner.core.until_ci import UntilCi
from runner.errors import CompareError, JournalError
from runner.planning.plan import Order, Plan
from runner.pricing.money import parse_money
from runner.storage.find_run import find_run
from runner.storage.journal import Header, Journal, read
from runner.storage.resume_state import ResumedRun, resume_state


def find_suite_of(run: Path) -> Path:
    """Return the suite file of a run.

    Raises:
        CompareError: there is no such run, it was not made from a file, or the file does not exist.

    """
    journal = read(find_run(run))
    header = journal.header
    if header.path is None and journal.left_out is not None:
        raise JournalError(f"{journal.left_out}. Its suite is not known: compare run SUITE --resume COPY")
    if header.path is None:
        raise CompareError(f"{header.run_id} was not made from a suite file; only a run of `compare run` is resumed")
    if not Path(header.path).is_file():
        raise CompareError(
            f"{header.path}, the suite of {header.run_id}, is not here. Name it: compare run SUITE --resume {run}"
        )
    return Path(header.path)


def open_resumed_journal(suite: Suite, options: RunOptions) -> Journal | None:
    """Return the journal of the run to resume; None for a new run.

    Raises:
        CompareError: there is no such run, or it cannot be resumed with this suite and these options.

    """
    if options.resume is None:
        return None
    journal = read(find_run(options.resume))
    _refuse_foreign_suite(suite, journal.header, options)
    _refuse_mixed_replay(journal.header, options)
    _refuse_new_vantages(journal.header, options)
    _refuse_timed_load(_merge_load(options, journal), journal.header, options)
    _refuse_new_cache_probe(journal.header, options)
    return journal


def _refuse_foreign_suite(suite: Suite, header: Header, options: RunOptions) -> None:
    """Refuse another suite, with which all rows of the run would leave the tables."""
    if suite.name != header.suite:
        raise CompareError(
            f"{header.run_id} is a run of the suite {header.suite!r}, not of {suite.name!r}. "
            f"Resume it with its own suite, or leave {options.spell('resume')} out."
        )


def _refuse_mixed_replay(header: Header, options: RunOptions) -> None:
    """Refuse to mix replayed replies and replies of providers in one run."""
    if header.replay_of is not None and options.replay is None:
        raise CompareError(
            f"{header.run_id} plays back {header.replay_of}. "
            f"Add {options.spell('replay', header.replay_of)}, or leave {options.spell('resume')} out."
        )
    if header.replay_of is None and options.replay is not None:
        raise CompareError(
            f"{header.run_id} has replies of its providers; {options.spell('replay')} would mix them with recorded "
            f"ones. Leave {options.spell('resume')} or {options.spell('replay')} out."
        )


def _refuse_new_vantages(header: Header, options: RunOptions) -> None:
    """Refuse vantages that the run did not have, with which no earlier row would count."""
    if options.cluster is not None and options.cluster.vantage and not header.vantages:
        raise CompareError(
            f"{header.run_id} was not started with {options.spell('vantage')}, which would send all of it again. "
            f"Start a new run, or leave {options.spell('vantage')} out."
        )


def _refuse_timed_load(load: LoadProfile, header: Header, options: RunOptions) -> None:
    """Refuse to resume a run that measures one continuous period."""
    if load.levels or load.duration_s is not None:
        what = options.spell("levels" if load.levels else "duration_s")
        raise CompareError(
            f"{header.run_id} cannot be resumed: with {what} it measures one continuous period, and the interruption "
            "would be part of it. Start a new run; what this one recorded is kept."
        )


def _refuse_new_cache_probe(header: Header, options: RunOptions) -> None:
    """Refuse other pauses of a cache probe, with which no earlier row would count."""
    if options.cache_idles and options.cache_idles != tuple(header.cache_probe):
        was = "was no cache probe" if not header.cache_probe else "had other pauses between its repetitions"
        raise CompareError(
            f"{header.run_id} {was}. Start a new run, or leave {options.spell('cache_probe')} and "
            f"{options.spell('cache_waits')} out."
        )


def resumed_options(options: RunOptions, journal: Journal | None) -> RunOptions:
    """Return the options, with omitted ones taken from the resumed run."""
    if journal is None:
        return options
    header, load = journal.header, _merge_load(options, journal)
    return replace(
        options,
        models=options.models
        if options.models or options.providers
        else _models_of(header, other_variants=bool(options.vary)),
        vary=options.vary or {name: tuple(values) for name, values in header.vary.items()},
        cases=options.cases or header.case_patterns,
        repeat=options.repeat or header.repeat,
        seed=header.seed if options.seed is None else options.seed,
        cache_probe=options.cache_probe or bool(header.cache_probe),
        cache_waits=tuple(header.cache_probe[2:]) if options.cache_waits is None else options.cache_waits,
        order=options.order or cast("Order", header.order),
        concurrency=options.concurrency or header.concurrency,
        budgets=options.budgets or tuple(map(parse_money, header.budgets)),
        until_ci=options.until_ci or UntilCi.from_plain(header.until_ci),
        late_bound_s=options.late_bound_s or header.late_bound_s,
        reply_limit=options.reply_limit or header.reply_limit,
        slo=options.slo or Slo.from_plain(header.slo),
        **{name: getattr(load, name) for name in LOAD_FIELDS},
    )


def _models_of(header: Header, *, other_variants: bool) -> tuple[str, ...]:
    """Return the targets of a run; with `other_variants`, the models without their variants."""
    if not other_variants:
        return header.targets
    models = (name.rpartition(VARIANT_MARK)[0] if name in header.variants else name for name in header.targets)
    return tuple(dict.fromkeys(models))


def _merge_load(options: RunOptions, journal: Journal) -> LoadProfile:
    load = LoadProfile.from_plain({**journal.header.load, **options.given_load})
    if options.arrivals is not None and load.rate is None:
        raise CompareError(
            f"{journal.header.run_id} has no rate, and {options.spell('arrivals')} sets the intervals of one; "
            f"leave it out"
        )
    return load


def vantages_of(journal: Journal | None) -> tuple[Node, ...]:
    """Return the nodes from which a resumed run sends everything; empty for a new run, whose nodes the cluster has."""
    return () if journal is None else tuple(Node(name, region) for name, region in journal.header.vantages.items())


def find_resumed_run(journal: Journal | None, plan: Plan, *, retry_errors: bool) -> ResumedRun | None:
    """Return the earlier part of a resumed run and the state of the plan; None for a new run.

    Raises:
        JournalError: the journal is damaged, so that requests already paid for would silently be sent again.

    """
    if journal is None:
        return None
    resumed = ResumedRun(journal, resume_state(plan, journal.kept_records, retry_errors=retry_errors))
    if journal.left_out is not None:  # known now that all records have been read
        raise JournalError(f"{journal.left_out}; resume that one. Nothing was sent")
    return resumed
