"""What a fleet on one machine needs to know."""

from dataclasses import dataclass, field
from pathlib import Path

from vigil.config import LogConfig, SourcesConfig
from vigil.ipc.messages import ClassifierInfo


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Frozen values, read from the configuration once."""

    models_dir: Path
    model: str
    device: str
    max_batch: int
    linger_s: float
    max_staleness_s: float
    engine_threads: int
    streams_per_host: int
    max_streams: int
    open_timeout_s: float
    read_timeout_s: float
    host_memory_limit_bytes: int
    classifiers: tuple[ClassifierInfo, ...] = ()  # loaded beside the detector
    max_registered: int = 1024
    max_load: float = 0.9  # of the cores; 0: streams are never refused for it
    host_user: str = ""
    log: LogConfig = field(default_factory=LogConfig)  # children log as the service does
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    trace_ratio: float = 0.0  # of the frames that go to the engine
    snapshot_px: int = 0  # at most so wide are pictures of events; 0: none are kept
    allow_loopback: bool = False  # of sources: where only this machine reaches the service
    engine_load_timeout_s: float = 120.0
    hang_timeout_s: float = 10.0  # without progress for so long, a child is killed
    restart_first_s: float = 0.1
    restart_longest_s: float = 10.0
    calm_s: float = 60.0  # a child that lived so long begins again at the shortest wait
