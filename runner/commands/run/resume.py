"""Resume a run: read its journal, take over its options, and find the completed part of the plan."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from runner.commands.run.options import LOAD_FIELDS, RunOptions
from runner.core.cluster_options import Node
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
from runner.storage.resume_state import (
    ResumedRun,
    refuse_foreign_suite,
    refuse_mixed_replay,
    refuse_new_cache_probe,
    refuse_new_vantages,
    refuse_timed_load,
    resume_state,
)


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
    refuse_foreign_suite(suite, journal.header)
    refuse_mixed_replay(journal.header, replayed=options.replay is not None)
    refuse_new_vantages(journal.header, wanted=options.cluster is not None and options.cluster.vantage)
    refuse_timed_load(_merge_load(options, journal), journal.header)
    refuse_new_cache_probe(journal.header, options.cache_idles)
    return journal


def settle_options(options: RunOptions, journal: Journal | None) -> RunOptions:
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
            f"{journal.header.run_id} has no rate, whose requests {options.arrivals} arrivals would space"
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
