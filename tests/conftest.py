"""Fixtures that every folder of tests may use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

from tests.support.videos import Clips

# A case that takes 200 ms on a busy machine is no fault, nor is one that takes long to draw. The same
# cases each time: a change fails for what it changes. `pytest --hypothesis-profile=default` draws others.
hypothesis.settings.register_profile(
    "vigil",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("vigil")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that is run within a test's process sets up its logs: the next test has none of that."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the grid model and the classifier of shades."""
    from tests.support import models  # torch takes a second

    folder = tmp_path_factory.mktemp("models")
    models.install_grid_model(folder)
    return models.install_shade_classifier(folder)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Video files and folders, good and bad."""
    return Clips.make(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def open_site(
    tmp_path_factory: pytest.TempPathFactory, models: Path, clips: Clips
) -> Callable[..., Any]:
    """Makes a site that is not started yet; its settings may be given."""
    from tests.support.site import Site

    def make(**settings: str) -> Site:
        folder = tmp_path_factory.mktemp("site")
        return Site(folder, models=models, roots=[clips.root], settings=settings)

    return make


@pytest.fixture(scope="session")
def shared_site(open_site: Callable[..., Any]) -> Iterator[Any]:
    """One running service for all tests that leave it as they found it."""
    with open_site(VIGIL_ENGINE__CLASSIFIERS="shade") as site:
        yield site


@pytest.fixture
def site(shared_site: Any) -> Iterator[Any]:
    """That service, with no streams before and after the test."""
    yield shared_site
    shared_site.remove_all()
