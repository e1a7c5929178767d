"""A provider's lane: how many requests are under way, and when it may be asked again."""

from dataclasses import dataclass

import anyio


@dataclass(slots=True)
class Lane:
    """One provider's promise to itself. A pause holds for all its workers, one provider's never for another."""

    provider: str
    limit: int
    in_flight: int = 0
    paused_until: float = 0.0

    def pause(self, seconds: float) -> None:
        """Ask nothing more for a while; the longest wish wins."""
        self.paused_until = max(self.paused_until, anyio.current_time() + seconds)

    async def wait_out_pause(self) -> None:
        """Return when the lane may be used."""
        # A pause can grow while it is waited out; there is nothing to be told when it does.
        while (left_s := self.paused_until - anyio.current_time()) > 0:  # noqa: ASYNC110
            await anyio.sleep(left_s)
