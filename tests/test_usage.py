"""Token counts from anywhere fit every table, or are absent; none is guessed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.frame import frame
from runner.journal import FILE_NAME, Header, Writer, read
from runner.record import Fold, Identity, Marks, Outcome, Record
from runner.wire.hearing import Hearing
