import json
import tomllib
from pathlib import Path

import pytest

from vigil import config
from vigil.errors import InvalidConfig


def write(folder: Path, text: str) -> Path:
    path = folder / "vigil.toml"
    path.write_text(text)
    return path


def test_defaults_are_those_of_the_contract() -> None:
    loaded = config.load(None, {})
    assert loaded == config.Config()
    assert loaded.grpc.address == "127.0.0.1:50051"
    assert loaded.http.address == "127.0.0.1:9464"
    assert loaded.state.path == "./state"
    assert loaded.redis.url == "redis://127.0.0.1:6379/0"
    assert loaded.events.retention_s == 7 * 24 * 3600
    assert loaded.sources.file_roots == ()


def test_file_sets_values(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[sources]\nfile_roots = ["/videos", "/clips"]\n[engine]\nlinger_s = 0\nmax_batch = 4\n',
    )
    loaded = config.load(path, {})
    assert loaded.sources.file_roots == ("/videos", "/clips")
    assert loaded.engine.linger_s == 0.0
    assert loaded.engine.max_batch == 4


def test_environment_wins_over_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[grpc]\naddress = "127.0.0.1:1000"\nreflection = false\n')
    environ = {
        "VIGIL_GRPC__ADDRESS": "127.0.0.1:2000",
        "VIGIL_GRPC__REFLECTION": "true",
        "VIGIL_SOURCES__FILE_ROOTS": "/a:/b",
        "VIGIL_UNRELATED": "no section, no override",
        "HOME": "/root",
    }
    loaded = config.load(path, environ)
    assert loaded.grpc.address == "127.0.0.1:2000"
    assert loaded.grpc.reflection is True
    assert loaded.sources.file_roots == ("/a", "/b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grcp]\n", "unknown table 'grcp'; did you mean 'grpc'?"),
        ("[grpc]\nadress = 'x'\n", "unknown key of [grpc] 'adress'; did you mean 'address'?"),
        ("grpc = 1\n", "grpc is a table"),
        ("[engine]\nmax_batch = 'four'\n", "engine.max_batch: Expected `int`"),
        ("[engine]\nlinger_s = nan\n", "engine.linger_s"),
        ("[engine]\nmax_staleness_s = inf\n", "engine.max_staleness_s"),
        ("[engine]\nmax_batch = 0\n", "engine.max_batch"),
        ("[sources]\nfile_roots = '/one'\n", "sources.file_roots: Expected `array`"),
        ("[sources]\ndeny_networks = ['10.0.0.1/8']\n", "sources.deny_networks: '10.0.0.1/8'"),
        ("[sources]\nallow_networks = ['cameras']\n", "write 192.168.1.0/24"),
        ("[log]\nlevel = 'loud'\n", "log.level"),
        ("[model]\ndevice = 'tpu'\n", "model.device"),
        ("[redis]\nurl = 'http://127.0.0.1'\n", "redis.url"),
        ("[traces]\nendpoint = 'collector'\n", "traces.endpoint: write http://host:4317"),
        ("[traces]\nendpoint = 'http://collector'\n", "traces.endpoint: write http://host:4317"),
        ("[traces]\nendpoint = 'grpc://collector:4317'\n", "traces.endpoint: write http://"),
        ("[traces]\nendpoint = 'http://h:4317/v1/traces'\n", "traces.endpoint: write http://"),
        ("[traces]\nendpoint = 'http://u:p@h:4317'\n", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("[traces]\nendpoint = 'http://h:4317?key=x'\n", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("[traces]\nprotocol = 'udp'\n", "traces.protocol"),
        ("[traces]\nsample_ratio = 1.1\n", "traces.sample_ratio"),
        ("not toml at all", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_naming_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config.load(write(tmp_path, text), {})
    assert message in str(caught.value)


def test_traces_are_off_and_ask_for_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"VIGIL_TRACES__ENDPOINT": "https://collector.example:4317"}
    assert config.load(None, {}).traces.endpoint == ""
    assert config.load(None, environment).traces.endpoint == environment["VIGIL_TRACES__ENDPOINT"]
    monkeypatch.setattr(config, "traces_installed", lambda: False)
    config.load(None, {})
    with pytest.raises(InvalidConfig, match=r"traces\.endpoint: .*pip install 'vigil\[traces\]'"):
        config.load(None, environment)


def test_networks_are_parted_by_commas_in_the_environment() -> None:
    loaded = config.load(None, {"VIGIL_SOURCES__DENY_NETWORKS": "10.0.0.0/8, fd00::/8"})
    assert loaded.sources.deny_networks == ("10.0.0.0/8", "fd00::/8")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"none\.toml: cannot be read"):
        config.load(tmp_path / "none.toml", {})


def test_an_unknown_variable_is_refused_naming_the_nearest() -> None:
    with pytest.raises(InvalidConfig, match=r"VIGIL_REDIS__URI: unknown key .* mean 'url'"):
        config.load(None, {"VIGIL_REDIS__URI": "redis://127.0.0.1"})


@pytest.mark.parametrize("key", ["VIGIL_GRPC__ADDRESS", "VIGIL_HTTP__ADDRESS"])
@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:50051",
        "[::]:50051",
        "192.168.1.5:80",
        "camera.example:80",
        "127.1:80",
        "[::ffff:127.0.0.1]:80",
    ],
)
def test_listening_beyond_loopback_is_refused(key: str, address: str) -> None:
    with pytest.raises(InvalidConfig, match="beyond loopback needs TLS"):
        config.load(None, {key: address})


def test_listening_beyond_loopback_is_taken_with_tls() -> None:
    pair = {"VIGIL_TLS__CERT": "c.pem", "VIGIL_TLS__KEY": "k.pem"}
    loaded = config.load(None, {"VIGIL_GRPC__ADDRESS": "0.0.0.0:50051", **pair})
    assert not config.listens_on_loopback(loaded)


@pytest.mark.parametrize("given", [{"CERT": "c.pem"}, {"KEY": "k.pem"}, {"CLIENT_CA": "ca.pem"}])
def test_half_of_tls_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidConfig, match=r"tls\.cert and tls\.key go together"):
        config.load(None, {f"VIGIL_TLS__{key}": value for key, value in given.items()})


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "localhost:50051", "[::1]:50051", "127.8.9.1:1"]
)
def test_loopback_addresses_are_taken(address: str) -> None:
    assert config.load(None, {"VIGIL_GRPC__ADDRESS": address}).grpc.address == address


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1", ":50051", "127.0.0.1:99999", "127.0.0.1:1/x", "u@127.0.0.1:1", "[::1"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidConfig, match="is no address"):
        config.load(None, {"VIGIL_GRPC__ADDRESS": address})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://user:canary@h:1/0", "redis://***@h:1/0"),
        ("redis://:canary@h/0", "redis://***@h/0"),
        ("redis://:canary/@:?x@h/0", "redis://***@h/0"),
        ("redis://:can@ary@h/0", "redis://***@h/0"),
        ("unix:///run/redis?password=canary", "unix:///run/redis?***"),
    ],
)
def test_secrets_are_redacted_in_what_is_printed(url: str, shown: str) -> None:
    text = config.to_toml(config.load(None, {"VIGIL_REDIS__URL": url}))
    assert f"url = {json.dumps(shown)}" in text
    assert "canary" not in text


def test_what_is_printed_reads_back_as_the_same_configuration(tmp_path: Path) -> None:
    environ = {
        "VIGIL_SOURCES__FILE_ROOTS": '/a "quoted"\\:/ü',
        "VIGIL_EVENTS__MAX_BYTES": "2000000",
    }
    loaded = config.load(None, environ)
    text = config.to_toml(loaded)
    assert set(tomllib.loads(text)) == set(config.Config.__struct_fields__)
    assert config.load(write(tmp_path, text), {}) == loaded


def test_the_shipped_file_shows_every_key_with_its_default() -> None:
    path = Path(__file__).parents[2] / "deploy" / "vigil.toml"
    assert config.load(path, {}) == config.Config()
    shown = {section: set(table) for section, table in tomllib.loads(path.read_text()).items()}
    assert shown == {
        section: set(getattr(config.Config(), section).__struct_fields__)
        for section in config.Config.__struct_fields__
    }
