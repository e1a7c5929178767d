"""File descriptors: one connection takes one, and the usual soft limits of 256 or 1024 are soon reached."""

from runner.errors import CompareError

SPARE = 100
"""What a process needs beside its connections: the journal, libraries, pipes, name look-ups."""


def allow_connections(count: int) -> None:
    """Raise this process's soft limit far enough; raise `CompareError` where the hard limit forbids it."""
    try:
        import resource  # noqa: PLC0415 -- POSIX only
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CompareError(
            f"{count} connections at once need {needed} open files; this system allows {hard}. "
            "Lower --concurrency, or raise the limit (ulimit -n)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
