"""Sums over children, dead ones included: a counter never goes back while the service lives."""

import numpy as np

from vigil.data import I64, CropOutcome, Outcome
from vigil.metrics.page import CROP_OUTCOMES, STAGES, Account, Distribution, Page


class StageTotals:
    """Histograms of all children's stages."""

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._retired: dict[str, Distribution] = {}
        self._retired_batches: Distribution | None = None
        self._retired_crops: I64 = np.zeros(len(CROP_OUTCOMES), np.int64)

    def add_page(self, page: Page) -> None:
        """A child began to count on this page."""
        self._pages.append(page)

    def retire_page(self, page: Page) -> None:
        """The child is gone: keep its last values and let the memory go."""
        self._pages.remove(page)
        for stage in STAGES:
            self._retired[stage] = _sum(self._retired.get(stage), page.stage(stage))
        self._retired_batches = _sum(self._retired_batches, page.batches())
        self._retired_crops = self._retired_crops + page.crops()
        page.slab.close()

    def stages(self) -> dict[str, Distribution]:
        """Seconds by stage, over all children that ever were."""
        totals = dict(self._retired)
        for page in self._pages:
            for stage in STAGES:
                totals[stage] = _sum(totals.get(stage), page.stage(stage))
        return totals

    def crops(self) -> dict[CropOutcome, int]:
        """What became of crops, over all children that ever were."""
        total = sum((page.crops() for page in self._pages), self._retired_crops)
        return dict(zip(CROP_OUTCOMES, total.tolist(), strict=True))

    def batches(self) -> Distribution | None:
        """Batch sizes; None before the first child."""
        total = self._retired_batches
        for page in self._pages:
            total = _sum(total, page.batches())
        return total


class AccountTotals:
    """Accounts of frames by stream: what ended records counted, and what live ones do."""

    def __init__(self) -> None:
        self._closed: dict[str, Account] = {}
        self._live: dict[str, tuple[Page, int]] = {}
        self._seen: dict[str, Account] = {}  # the last that was read of a live record

    def begin(self, stream_id: str, page: Page, record: int) -> None:
        """A host counts the stream's frames in this record from now on; it must be clear."""
        self._live[stream_id] = (page, record)

    def end(self, stream_id: str) -> None:
        """The host is gone or has let the stream go: what was in flight is lost, and says so."""
        live = self._live.pop(stream_id, None)
        if live is not None:
            page, record = live
            self._closed[stream_id] = self._past(stream_id).add(page.final_account(record))
            self._seen.pop(stream_id, None)

    def forget(self, stream_id: str) -> None:
        """The stream is removed: so are its series."""
        for kept in (self._live, self._seen, self._closed):
            kept.pop(stream_id, None)

    def account(self, stream_id: str) -> Account:
        """The stream's account at one instant; a writer that is held up shows the instant before."""
        past = self._past(stream_id)
        live = self._live.get(stream_id)
        if live is None:
            return past
        page, record = live
        account = page.account(record) or self._seen.get(stream_id) or Account()
        self._seen[stream_id] = account
        return past.add(account)

    def outcomes(self, stream_id: str) -> dict[Outcome, int]:
        """What became of the stream's frames, at a tenth of the cost of its account."""
        live, past = self._live.get(stream_id), self._closed.get(stream_id)
        if live is None:
            return self._past(stream_id).outcomes
        page, record = live
        outcomes = page.outcomes(record)
        if past is not None:
            outcomes = {name: count + past.outcomes[name] for name, count in outcomes.items()}
        return outcomes

    def _past(self, stream_id: str) -> Account:
        return self._closed.get(stream_id) or Account()


def _sum(first: Distribution | None, second: Distribution) -> Distribution:
    return second if first is None else first.add(second)
